"""Numbers that keep quotients and exponents finite, the same for Keras and for numpy."""

import math

# Of the logarithm of a side divided by its anchor's: exp of a wild one would overflow, and no
# object of KITTI is 62 times as large as its anchor.
MAX_LOG_SCALE = math.log(1000.0 / 16.0)
# Of an area that something is divided by, square pixels.
SMALLEST_AREA = 1e-6
# A sum of votes below this leaves a box where it is.
NO_VOTES = 1e-6
