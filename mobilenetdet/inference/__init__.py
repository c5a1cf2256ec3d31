"""Running a detector: the detection model, the runtimes, prediction."""
