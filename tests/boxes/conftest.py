import keras

if keras.backend.backend() == "jax":
    import jax

    # These tests compile many small functions and run each of them once.
    jax.config.update("jax_disable_most_optimizations", True)
