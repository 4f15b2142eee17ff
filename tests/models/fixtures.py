"""The models that several tests share, made once for a run. `conftest.py` takes them in."""

from __future__ import annotations

from pathlib import Path

import pytest
from gguf import PoolingType

from tests.models.bert import make_bert
from tests.models.gguf import make_model
from tests.models.recurrent import make_recurrent

#: Strings end soon: a persona in JSON is then written in half the time.
LEANING = {'"': 5.0}


@pytest.fixture(scope="session")
def models_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def tiny_model(models_folder: Path) -> Path:
    """Byte-level BPE, ChatML, Q8_0: as most models are."""
    return make_model(models_folder / "tiny.gguf", weights="Q8_0", leaning=LEANING, context=8_192)


@pytest.fixture(scope="session")
def tiny_spm_model(models_folder: Path) -> Path:
    """SentencePiece, and a template that knows no system role."""
    return make_model(
        models_folder / "tiny-spm.gguf",
        vocabulary="spm",
        weights="Q8_0",
        template="no-system",
        seed=1,
        leaning=LEANING,
        context=8_192,
    )


@pytest.fixture(scope="session")
def tiny_llama3_model(models_folder: Path) -> Path:
    """Unquantised; its texts begin with a token of their own."""
    return make_model(models_folder / "tiny-llama3.gguf", template="llama3", seed=2, context=8_192)


@pytest.fixture(scope="session")
def plain_model(models_folder: Path) -> Path:
    """No template at all, as models are that were never taught to talk."""
    return make_model(models_folder / "plain.gguf", weights="Q4_0", template=None, seed=3, context=8_192)


@pytest.fixture(scope="session")
def recurrent_model(models_folder: Path) -> Path:
    """Without attention: nothing that it read can be shared or cut off."""
    return make_recurrent(models_folder / "recurrent.gguf", seed=5, context=8_192)


@pytest.fixture(scope="session")
def bert_model(models_folder: Path) -> Path:
    """Turns texts of up to 128 tokens into vectors, and has no word to say."""
    return make_bert(models_folder / "bert.gguf")


@pytest.fixture(scope="session")
def pooled_model(models_folder: Path) -> Path:
    """As those that write are built, and made for vectors: the last token's numbers count."""
    return make_model(models_folder / "pooled.gguf", weights="Q8_0", seed=6, pooling=PoolingType.LAST)


@pytest.fixture(scope="session")
def broken_model(models_folder: Path) -> Path:
    """Loads, and computes nothing but NaN."""
    return make_model(models_folder / "broken.gguf", broken="nan", seed=4)
