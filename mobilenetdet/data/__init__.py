"""TFRecords and tf.data pipelines."""
