"""What comes after training: how fast it runs."""
