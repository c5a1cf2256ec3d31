import functools
from collections.abc import Callable

import keras
import pytest

if keras.backend.backend() == "jax":
    import jax

    # These tests compile many small functions and run each of them once.
    jax.config.update("jax_disable_most_optimizations", True)


@pytest.fixture(scope="session")
def compiled() -> Callable[[Callable], Callable]:
    """Compiles a function where that is much faster than running it as it is: on JAX."""
    if keras.backend.backend() == "jax":
        return functools.cache(jax.jit)
    return lambda function: function
