"""From records to batches: augmentation, letterboxing, targets, tf.data."""
