"""What a process has of its machine: cores, threads, standard output, the terminal."""
