"""Status of each row in a padded batch of boxes."""

PADDING = 0  # nothing
OBJECT = 1  # an object to learn
IGNORED = 2  # an object that is neither learnt nor background: too hard, or a neighbour class
DONT_CARE = 3  # a region in which nothing is known
WITHOUT_WEIGHT = 4  # in all rows of a frame that fills up a batch: none of its anchors has a weight
