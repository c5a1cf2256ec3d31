"""From a detector and records to metrics."""
