"""What was predicted, as a first draft for people who label by hand."""
