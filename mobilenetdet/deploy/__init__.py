"""What leaves the project: packed weights."""
