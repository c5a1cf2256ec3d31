"""What predict writes: pictures, videos, result files and lists of detections."""
