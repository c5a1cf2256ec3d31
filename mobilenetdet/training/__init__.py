"""Schedules, optimizers, callbacks and the training run."""
