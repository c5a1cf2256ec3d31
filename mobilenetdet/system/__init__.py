"""What a process has of its machine and of the work: cores, threads, its share, the terminal."""
