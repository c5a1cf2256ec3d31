"""The one detection config, its sections and presets, and how configs are stored."""
