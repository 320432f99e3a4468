"""What strangers' datasets and logs hold is read, nothing else of this machine, and only what makes a picture stays."""

from __future__ import annotations

import csv
import io
import json
import os
import struct
import zlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feedback_flags import flag_of, picture
from PIL import Image

from deconvdemo.errors import DatasetError, FeedbackError
from deconvdemo.feedback.events.imagefile import stored_image
from deconvdemo.feedback.exchange.export import export_dataset
from deconvdemo.feedback.exchange.importing import ImportPlan, import_feedback
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.hub.inside import file_inside, relative_parts
from deconvdemo.training.data.corpus import Corpus

AGREED = ImportPlan("denoise", consent=True)
MARK = b"PLANTED-MARKER"
STRUCT = pa.struct({"bytes": pa.binary(), "path": pa.string()})


@pytest.fixture
def store(sqlite_store):
    return sqlite_store


@pytest.fixture
def secret(tmp_path) -> Path:
    """An image of this machine that no dataset has."""
    (tmp_path / "private").mkdir()
    file = tmp_path / "private/photo.png"
    file.write_bytes(picture("secret"))
    return file


def image(data: bytes | None, path: str | None = None) -> dict:
    return {"bytes": data, "path": path}


def write_pairs(file: Path, observed: list[dict | None], **extra) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    restored = [image(picture(("out", number))) for number in range(len(observed))]
    columns = {"input": pa.array(observed, STRUCT), "output": pa.array(restored, STRUCT), **extra}
    pq.write_table(pa.table(columns), file)
    return file


def holds_secret(store: FeedbackStore) -> bool:
    return any(data == picture("secret") for flag in store.flags() for data in flag.images.values())


# ---- paths that rows name


def tricks(secret: Path, folder: Path) -> list[str]:
    """Ways to name a file outside the folder."""
    away = os.path.relpath(secret, folder)
    quoted = away.replace("..", "%2e%2e")
    return [
        str(secret), f"file://{secret}", f"FILE://{secret}", f"file:{secret}", away, f"./{away}", f"x/../{away}",
        away.replace("/", "\\"), quoted, quoted.replace("/", "%2F"), f"/{away}", f"//localhost{secret}",
        f"local://{secret}", "hf://datasets/me/private/photo.png", "HF://datasets/me/private/photo.png",
        "http://127.0.0.1:9/photo.png", f"zip://photo.png::{secret}", f"simplecache::file://{secret}", "~/photo.png",
        f"C:{secret}", f"\\\\?\\{secret}", f"{secret}\0.png", f" {secret}", "link/photo.png", "photo-link.dat",
        "..", ".", "/dev/zero", "pipe.dat", "a" * 5000, "..\u2215private\u2215photo.png", "\u202e/photo.png",
    ]  # fmt: skip


@pytest.mark.parametrize("place", ["a folder", "a file", "saved"])
def test_rows_that_name_files_elsewhere_are_refused_one_by_one(store, secret, tmp_path, place):
    folder = tmp_path / "theirs"
    folder.mkdir()
    named = tricks(secret, folder)
    observed = [image(None, text) for text in named] + [image(picture("in"), str(secret))]
    if place == "saved":
        from datasets import Dataset, Features
        from datasets import Image as ImageColumn

        rows = {"input": observed, "output": [image(picture("out"))] * len(observed)}
        # as a stranger can write one: `save_to_disk` alone would embed what it finds
        table = pa.table({name: pa.array(values, STRUCT) for name, values in rows.items()})
        features = Features(input=ImageColumn(), output=ImageColumn())
        _save(Dataset(table.cast(features.arrow_schema)), folder)
    else:
        write_pairs(folder / "data/train.parquet", observed)
    (folder / "link").symlink_to(secret.parent)
    (folder / "photo-link.dat").symlink_to(secret)
    os.mkfifo(folder / "pipe.dat")
    at = folder / "data/train.parquet" if place == "a file" else folder
    report = import_feedback(store, str(at), AGREED)
    assert report.added == 1, "the row whose image is embedded"
    assert len(report.refused) == len(named)
    assert all("\n" not in sentence and len(sentence) <= 501 for sentence in report.refused)
    assert not holds_secret(store)


def _save(dataset, folder: Path) -> None:
    """What `save_to_disk` leaves, with the rows as they are."""
    table, file = dataset.data.table, str(folder / "data-00000-of-00001.arrow")
    with pa.OSFile(file, "wb") as out, pa.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table)
    state = {"_data_files": [{"filename": "data-00000-of-00001.arrow"}], "_fingerprint": "x", "_format_columns": None}
    state |= {"_format_kwargs": {}, "_format_type": None, "_output_all_columns": False, "_split": None}
    (folder / "state.json").write_text(json.dumps(state))
    dataset.info.write_to_directory(str(folder))


def test_images_inside_the_named_folder_come_in(store, tmp_path):
    folder = tmp_path / "theirs"
    write_pairs(folder / "train.parquet", [image(None, "photos/1.dat"), image(None, "gone.dat")])
    (folder / "photos").mkdir()
    (folder / "photos/1.dat").write_bytes(picture("in"))
    report = import_feedback(store, str(folder), AGREED)
    assert (report.added, len(report.refused)) == (1, 1)
    assert "there is no file 'gone.dat'" in report.refused[0]
    assert next(store.flags()).observed == picture("in")


def test_a_corpus_of_a_strangers_dataset_reads_no_other_images(secret, tmp_path):
    folder, said = tmp_path / "theirs", []
    folder.mkdir()
    rows = [image(None, text) for text in tricks(secret, folder)[:8]] + [image(picture("in", 16))]
    pq.write_table(pa.table({"image": pa.array(rows, STRUCT)}), folder / "train.parquet")
    corpus = Corpus.open([folder], tmp_path / "cache", said.append)
    assert corpus.shapes.tolist() == [[16, 16]]
    assert len(said) == len(rows) - 1


def test_a_card_that_places_the_datasets_files_elsewhere_is_refused(store, secret, tmp_path):
    write_pairs(tmp_path / "private/rows.parquet", [image(picture("secret"))])
    folder = tmp_path / "theirs"
    write_pairs(folder / "data/train.parquet", [image(picture("in"))])
    for elsewhere in (str(tmp_path / "private/rows.parquet"), "../private/rows.parquet", "data/link.parquet"):
        card = f"---\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n    path: {elsewhere}\n---\n"
        (folder / "README.md").write_text(card)
        if elsewhere == "data/link.parquet":
            (folder / elsewhere).symlink_to(tmp_path / "private/rows.parquet")
        with pytest.raises(DatasetError, match=r"which is not inside it|cannot be read"):
            import_feedback(store, str(folder), AGREED)
    assert store.totals()["flags"] == 0


def test_an_export_with_a_link_out_of_it_is_not_followed(store, tmp_path):
    other = FeedbackStore(tmp_path / "other", min_free_mb=0)
    other.add(flag_of(1))
    export_dataset(other, tmp_path / "export")
    file = next((tmp_path / "export").rglob("*.parquet"))
    file.rename(tmp_path / "moved.parquet")
    file.symlink_to(tmp_path / "moved.parquet")
    report = import_feedback(store, str(tmp_path / "export"), ImportPlan())
    assert report.added == 0
    assert "leads out of" in report.refused[0]


def test_plain_paths_are_plain(tmp_path):
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b/ü 100%.png").write_bytes(b"x")
    assert relative_parts("images/1.png") == ["images", "1.png"]
    assert file_inside(tmp_path, "a b/ü 100%.png").read_bytes() == b"x"


# ---- what images carry


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def planted_png() -> bytes:
    whole = picture("planted")
    start, end = whole.index(b"IDAT") - 4, whole.index(b"IEND") - 4
    hidden = [png_chunk(kind, MARK + b"\0" + MARK) for kind in (b"tEXt", b"iTXt", b"eXIf", b"tIME", b"prVt", b"caBX")]
    hidden += [
        png_chunk(b"zTXt", b"k\0\0" + zlib.compress(MARK * 9)),
        png_chunk(b"iDOT", MARK),
        png_chunk(b"deXt", MARK),
    ]
    frames = png_chunk(b"acTL", struct.pack(">II", 2, 0)) + png_chunk(b"fdAT", b"\0\0\0\1" + MARK)
    return whole[:start] + b"".join(hidden) + frames + whole[start:end] + png_chunk(b"tEXt", MARK) + whole[end:] + MARK


def planted_webp() -> bytes:
    exif = Image.Exif()
    exif[0x010E] = MARK.decode()
    data = picture("planted", format="WEBP", lossless=True, exif=exif, xmp=b"<x>" + MARK + b"</x>")
    extra = b"".join(kind + struct.pack("<I", len(MARK)) + MARK for kind in (b"PRIV", b"THMB", b"EXI2"))
    data += extra
    return data[:4] + struct.pack("<I", len(data) - 8) + data[8:] + MARK


def planted_jpeg() -> bytes:
    exif = Image.Exif()
    exif[0x010E] = MARK.decode()
    exif.get_ifd(0x8825)[1] = MARK.decode()
    small = io.BytesIO()
    Image.new("RGB", (8, 8)).save(small, "JPEG", exif=exif, comment=MARK, xmp=MARK)
    return small.getvalue() + MARK


PLANTED = {"png": planted_png, "webp": planted_webp, "jpeg": planted_jpeg}


def bytes_of(store: FeedbackStore) -> bytes:
    """All that lies in its folder."""
    store.close()
    return b"".join(file.read_bytes() for file in store.folder.rglob("*") if file.is_file())


@pytest.mark.parametrize("kind", PLANTED)
@pytest.mark.parametrize("way", ["parquet", "log", "export"])
def test_imported_images_are_stripped_like_any(store, tmp_path, kind, way):
    planted = PLANTED[kind]()
    assert planted.count(MARK) >= 3
    if way == "export" and kind == "jpeg":
        return  # ours have PNG and WebP alone
    place = tmp_path / "theirs"
    if way == "parquet":
        place = write_pairs(place / "train.parquet", [image(planted)])
    elif way == "log":
        place.mkdir()
        (place / f"in.{kind}").write_bytes(planted)
        (place / "out.png").write_bytes(planted_png())
        (place / "dataset1.csv").write_text(f"Input,Output\nin.{kind},out.png\n")
    else:
        other = FeedbackStore(tmp_path / "other", min_free_mb=0)
        other.add(flag_of(1))
        export_dataset(other, place)
        file = next(place.rglob("*.parquet"))
        table = pq.read_table(file)
        rows = table.to_pylist()
        rows[0]["observed"] = rows[0]["clean"] = image(planted)
        pq.write_table(pa.Table.from_pylist(rows, table.schema), file)
    report = import_feedback(store, str(place), ImportPlan() if way == "export" else AGREED)
    assert (report.added, report.refused) == (1, [])
    assert MARK not in bytes_of(store)


def test_only_the_pictures_chunks_are_kept():
    kept = stored_image(planted_png())
    assert kept == picture("planted")
    assert stored_image(planted_webp()).count(b"VP8L") == 1
    frames = io.BytesIO()
    one, two = Image.new("RGB", (8, 8)), Image.new("RGB", (8, 8), "red")
    one.save(frames, "WEBP", save_all=True, append_images=[two])
    with pytest.raises(FeedbackError, match="is animated"):
        stored_image(frames.getvalue())


# ---- logs


def test_logs_have_bounds_and_name_no_file_elsewhere(store, secret, tmp_path):
    folder = tmp_path / "log"
    folder.mkdir()
    (folder / "in.png").write_bytes(picture("in"))
    (folder / "out.png").write_bytes(picture("out"))
    with (folder / "dataset1.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["Input", "Output"])
        odd = [
            "[" * 50_000,
            '{"layers": 3, "background": 1}',
            '{"annotations": 7}',
            '[[[[["in.png"]]]]]',
            '{"a": 1e999}',
        ]
        odd += [f"file://{secret}", str(secret), "..\\private\\photo.png", "%2e%2e/private/photo.png"]
        for cell in [*odd, "in.png"]:
            table.writerow([cell, "out.png"])
    os.mkfifo(folder / "dataset2.csv")
    (folder / "dataset3.csv").symlink_to(secret)
    (folder / "dataset4.csv").write_text(",".join(map(str, range(100_000))) + "\n")
    report = import_feedback(store, str(folder), AGREED)
    assert 1 <= report.added <= 2
    assert sum("cannot be read as CSV" in sentence for sentence in report.refused) == 3
    assert not holds_secret(store)
