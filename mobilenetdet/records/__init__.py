"""TFRecords: one frame a record, shards, conversion."""
