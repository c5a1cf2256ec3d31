"""From a detector and records to AP."""
