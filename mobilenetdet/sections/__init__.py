"""The sections of a config. Each field has a type, a unit where it has one, and a restriction."""
