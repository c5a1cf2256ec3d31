"""Backbone, heads, detector and post-processing."""
