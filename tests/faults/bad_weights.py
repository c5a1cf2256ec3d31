"""Weight files and checkpoints."""

import io
import json
import zipfile
from collections.abc import Callable

import h5py
import numpy as np
from faults.bad_records import train
from faults.user_folder import UserFolder, bad


def predict(user: UserFolder, *more) -> list:
    photo = user.images / "000000.png"
    return ["predict", photo, "--run_dir", user.run, "--output_dir", user.out, *more]


def resume(user: UserFolder) -> list:
    argv = train(user, "--train.epochs", "3")
    return [*argv, "--run_dir", user.run]


def pack(user: UserFolder) -> list:
    return ["pack_run", "--data", "a test", "--run_dir", user.run, "--output_dir", user.out]


def inspect(user: UserFolder) -> list:
    return ["inspect_checkpoint", user.run]


def weights(name: str, content: bytes, command: str = "predict") -> Callable:
    """Names a file of weights that is none."""

    def make(user: UserFolder) -> list:
        path = user.file(name, content)
        if command == "predict":
            return predict(user, "--weights", path)
        if command == "inspect":
            return ["inspect_checkpoint", path]
        return train(user, f"--model.{command}", path)

    return make


def in_run(name: str, content: bytes | str | Callable, command: Callable = predict) -> Callable:
    """Replaces a file of the run, or changes its bytes."""

    def make(user: UserFolder) -> list:
        path = user.run / name
        data = content(path.read_bytes()) if callable(content) else content
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return command(user)

    return make


def arrays(change: Callable[[dict], None]) -> Callable[[bytes], bytes]:
    """Changes the arrays of a state."""

    def apply(content: bytes) -> bytes:
        with np.load(io.BytesIO(content)) as file:
            found = dict(file)
        change(found)
        buffer = io.BytesIO()
        np.savez(buffer, **found)
        return buffer.getvalue()

    return apply


def progress(**changes) -> Callable[[bytes], bytes]:
    """Changes the progress in a state."""

    def change(found: dict) -> None:
        values = json.loads(str(found["progress"])) | changes
        found["progress"] = np.array(json.dumps(values))

    return arrays(change)


def edited_h5(edit: Callable[[h5py.File], None]) -> Callable[[bytes], bytes]:
    def apply(content: bytes) -> bytes:
        buffer = io.BytesIO(content)
        with h5py.File(buffer, "r+") as file:
            edit(file)
        return buffer.getvalue()

    return apply


def first_array(file: h5py.File) -> h5py.Dataset:
    found: list[h5py.Dataset] = []
    file.visititems(lambda _, item: found.append(item) if isinstance(item, h5py.Dataset) else None)
    return found[0]


def set_nan(file: h5py.File) -> None:
    array = first_array(file)
    array[...] = np.full(array.shape, np.nan)


def remove_array(file: h5py.File) -> None:
    del file[first_array(file).name]


def half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def set_first(array: np.ndarray, value: float) -> None:
    array.reshape(-1)[:1] = value


def infinite(found: dict) -> None:
    set_first(next(a for n, a in found.items() if n.startswith("model_")), np.inf)


def wide(user: UserFolder) -> list:
    """A config of another width than its weights."""
    path = user.run / "config.json"
    config = json.loads(path.read_text())
    config["model"]["alpha"] = 0.5
    path.write_text(json.dumps(config))
    return predict(user)


def keras_archive(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("model.weights.h5", content)
    return buffer.getvalue()


def from_archive(user: UserFolder) -> list:
    """A whole model as .keras begins a training; its backbone is read."""
    content = keras_archive((user.run / "best.weights.h5").read_bytes())
    return predict(user, "--weights", user.file("model.keras", content))


KERAS = "here weights are Keras files: .*save_weights"
COPY = "copied, do that again|copy it again"
FRESH = ("copy it again, or begin another run with the weights in last.weights.h5",)

WEIGHTS = [
    bad("a graph of TensorFlow", weights("a.pb", b"x"), "a.pb is a graph of TensorFlow", KERAS),
    bad("a checkpoint of TensorFlow", weights("a.ckpt", b"x"), "a.ckpt is a checkpoint", KERAS),
    bad(
        "an index of a checkpoint", weights("a.ckpt.index", b"x"), "is a checkpoint of Tens", KERAS
    ),
    bad("weights of PyTorch", weights("a.pth", b"x"), "a.pth is a file of PyTorch", KERAS),
    bad("the same, as .pt to train", weights("a.pt", b"x", "detector_weights"), "PyTorch", KERAS),
    bad("safetensors for a backbone", weights("a.safetensors", b"x", "weights"), "PyTorch", KERAS),
    bad("ONNX", weights("a.onnx", b"x"), "a.onnx is an exported model", KERAS),
    bad("a state for weights", weights("a.npz", b"x"), "a.npz is what resuming a run needs", KERAS),
    bad("a page for weights", weights("a.h5", b"<html>"), "a.h5 is not a Keras .h5", COPY),
    bad("an empty weight file", weights("a.weights.h5", b""), "a.weights.h5 is not a Keras", COPY),
    bad("a damaged .keras", weights("a.keras", b"PK\3\4"), "a.keras is not a Keras", COPY),
    bad(
        "an archive without weights", weights("a.keras", b"PK\5\6" + bytes(18)), "a.keras .*model.w"
    ),
    bad(
        "weights that are nowhere",
        lambda u: predict(u, "--weights", u.root / "no.h5"),
        "no.h5 does not exist",
    ),
    bad(
        "a folder for weights",
        lambda u: train(u, "--model.weights", u.labels),
        "label_2 is a folder; name the file in it",
    ),
    bad(
        "a .keras of the same model", from_archive, "objects in 1 picture", code=0, writes=("out",)
    ),
    bad("weights cut off", in_run("best.weights.h5", half), "best.weights.h5 is not a Keras", COPY),
    bad(
        "the same, to be packed", in_run("best.weights.h5", half, pack), "best.weights.h5 is not a"
    ),
    bad(
        "the same, looked into", in_run("best.weights.h5", half, inspect), "best.weights.h5 is not"
    ),
    bad(
        "weights that are NaN",
        in_run("best.weights.h5", edited_h5(set_nan)),
        "best.weights.h5: .* holds NaN or infinity",
        "take other weights",
    ),
    bad(
        "NaN, to be packed",
        in_run("best.weights.h5", edited_h5(set_nan), pack),
        "holds NaN or infinity; the run has diverged",
    ),
    bad("a layer too few", in_run("best.weights.h5", edited_h5(remove_array)), "does not fit"),
    bad("another alpha", wide, "does not fit .*whose alpha is 0.5; the file's is 0.25"),
    bad(
        "weights of a detector for a classifier's layers",
        lambda u: ["inspect_checkpoint", u.file("notes.txt", "x")],
        "notes.txt is neither a Keras weight file",
    ),
    bad(
        "no such model to compare with",
        lambda u: ["inspect_checkpoint", u.run, "--into", "yolo"],
        "--into 'yolo' is neither a run directory",
    ),
]

STATES = [
    bad(
        "a state cut off",
        in_run("checkpoint.npz", half, resume),
        "checkpoint.npz is damaged",
        *FRESH,
    ),
    bad("a state of text", in_run("checkpoint.npz", "hello", resume), "npz is damaged", *FRESH),
    bad("an empty state", in_run("checkpoint.npz", "", inspect), "npz is damaged", *FRESH),
    bad(
        "a state without progress",
        in_run("checkpoint.npz", arrays(lambda a: a.pop("progress")), resume),
        "npz is damaged.*progress",
    ),
    bad(
        "an array too few",
        in_run("checkpoint.npz", arrays(lambda a: a.pop("model_0003")), resume),
        "npz holds nothing for .*it belongs to another model: choose another run directory",
    ),
    bad(
        "an average too few",
        in_run("checkpoint.npz", arrays(lambda a: a.pop("ema_0003")), resume),
        "npz holds no average of .*choose another run directory",
    ),
    bad(
        "no step of the averages",
        in_run("checkpoint.npz", arrays(lambda a: a.pop("ema_step")), resume),
        "npz does not say after which step it is; copy it again",
    ),
    bad(
        "an array of text",
        in_run("checkpoint.npz", arrays(lambda a: a.update(model_0001=np.array(["x"]))), resume),
        "npz holds .*; it belongs to another model",
    ),
    bad(
        "an array of another shape",
        in_run("checkpoint.npz", arrays(lambda a: a.update(model_0003=np.zeros(7))), resume),
        r"npz holds float64 of shape \(7,\) for .*another model",
    ),
    bad(
        "a state that is infinite",
        in_run("checkpoint.npz", arrays(infinite), resume),
        "checkpoint.npz: .* holds NaN or infinity",
    ),
    bad(
        "an epoch of text",
        in_run("checkpoint.npz", progress(epoch="one"), resume),
        "npz is damaged.*'one'",
    ),
    bad("epoch -1", in_run("checkpoint.npz", progress(epoch=-1), inspect), "damaged.*epoch -1"),
    bad(
        "a best AP of NaN",
        in_run("checkpoint.npz", progress(best=float("nan")), inspect),
        "best nan",
    ),
    bad(
        "a history of other epochs",
        in_run("checkpoint.npz", progress(epoch=7), resume),
        "the history is not that of 7 epochs",
    ),
    bad(
        "a history of lists",
        in_run("checkpoint.npz", progress(history=[[1]]), inspect),
        "checkpoint.npz is damaged",
    ),
    bad(
        "other training records",
        in_run("checkpoint.npz", progress(facts={"records": "ffff"}), resume),
        "npz belongs to records with another content",
        "--data.records_dir",
    ),
]

CASES = {"weights": WEIGHTS, "states": STATES}
