"""Box geometry, anchors, coding and matching."""
