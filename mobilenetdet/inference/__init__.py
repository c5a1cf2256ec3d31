"""Running a detector: the detection model, picture sources, prediction."""
