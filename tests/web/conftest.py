"""What the tests of the page share: a browser, and onnxruntime-web as an export has left it."""

from collections.abc import Iterator

import pytest
from fixtures.chromium import BROWSER, Chromium

from mobilenetdet.runs import user_cache
from mobilenetdet.web.web_runtime import ARCHIVE, VERSION, WebRuntime, find_web_runtime


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """A headless Chromium whose camera shows a test pattern."""
    if BROWSER is None:
        pytest.skip("no Chromium on this machine")
    options = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    with Chromium(tmp_path_factory.mktemp("profile"), *options) as chromium:
        yield chromium


@pytest.fixture(scope="session")
def web_runtime() -> WebRuntime:
    """Gives onnxruntime-web without a download."""
    path = user_cache() / ARCHIVE
    if not path.is_file():
        pytest.skip(
            f"onnxruntime-web {VERSION} is not in the cache; mobilenetdet export --format web "
            "downloads it"
        )
    return find_web_runtime(path)
