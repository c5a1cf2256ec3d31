"""A page that runs an exported detector in the browser."""
