"""Miniatures of what is downloaded of Pascal VOC 2012 and SBD, as they are laid out."""

import io
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

from train.data.images import encode
from train.data.palette import mask_png, voc_colormap

TRAIN, VAL = ["2007_000001", "2007_000002"], ["2007_000003"]
SBD_TRAIN = ["2008_000005", "2007_000001"]  # one is VOC's too
SBD_VAL = ["2007_000003", "2008_000004"]  # one is evaluated on
AUGMENTED = ["2007_000001", "2007_000002", "2008_000004", "2008_000005"]
PUBLISHED = {"train": 2, "val": 1, "train_aug": 4}
UNLISTED = "2009_000006"
SIZE = (6, 8)

Files = dict[str, bytes]


def number(id: str) -> int:
    return int(id[-1])


def photo(id: str) -> bytes:
    return encode(np.full((*SIZE, 3), 20 * number(id), np.uint8), "JPEG")


def own_mask(id: str) -> np.ndarray:
    """A mask of VOC's own: a class, and a void border."""
    mask = np.full(SIZE, number(id), np.uint8)
    mask[0] = 255
    return mask


def sbd_mask_of(id: str) -> np.ndarray:
    """A mask of SBD: the same, without a border."""
    return np.full(SIZE, number(id), np.uint8)


def mat(mask: np.ndarray, *, compressed: bool = True) -> bytes:
    """Returns a file like those of SBD."""
    fields = {
        "Boundaries": np.zeros((20, 1), object),
        "Segmentation": mask,
        "CategoriesPresent": np.unique(mask[mask > 0]),
    }
    file = io.BytesIO()
    savemat(file, {"GTcls": fields}, do_compression=compressed)
    return file.getvalue()


def lines(names: Sequence[str]) -> bytes:
    return "".join(f"{name}\n" for name in names).encode()


def voc_files() -> Files:
    root = "VOCdevkit/VOC2012"
    files = {f"{root}/Annotations/{id}.xml": b"<annotation/>" for id in TRAIN}
    for split, ids in {"train": TRAIN, "val": VAL, "trainval": TRAIN + VAL}.items():
        files[f"{root}/ImageSets/Segmentation/{split}.txt"] = lines(ids)
        files[f"{root}/ImageSets/Main/{split}.txt"] = lines([*ids, UNLISTED])
    for id in (*TRAIN, *VAL, *SBD_TRAIN, *SBD_VAL, UNLISTED):
        files[f"{root}/JPEGImages/{id}.jpg"] = photo(id)
    for id in TRAIN + VAL:
        png = mask_png(own_mask(id), voc_colormap())
        files[f"{root}/SegmentationClass/{id}.png"] = png
        files[f"{root}/SegmentationObject/{id}.png"] = png
    return files


def sbd_files() -> Files:
    root = "benchmark_RELEASE/dataset"
    files = {"benchmark_RELEASE/README": b"Read me."}
    for id in (*SBD_TRAIN, *SBD_VAL):
        files[f"{root}/cls/{id}.mat"] = mat(sbd_mask_of(id))
        files[f"{root}/inst/{id}.mat"] = b"of instances"
        files[f"{root}/img/{id}.jpg"] = photo(id)
    files[f"{root}/train.txt"] = lines(SBD_TRAIN)
    files[f"{root}/val.txt"] = lines(SBD_VAL)
    return files


def aug_files() -> Files:
    """The ready-made masks: VOC's own where it has them, those of val too."""
    ids = (*AUGMENTED, *VAL)
    files = {f"SegmentationClassAug/{id}.png": gray(id) for id in ids}
    files["__MACOSX/SegmentationClassAug/._2007_000001.png"] = b"of another system"
    return files


def gray(id: str) -> bytes:
    mask = own_mask(id) if id in TRAIN + VAL else sbd_mask_of(id)
    return encode(mask, "PNG")


def write_tar(
    path: Path, files: Mapping[str, bytes], others: Sequence[tarfile.TarInfo] = ()
) -> Path:
    """Writes a tar, compressed where its name says so; others go first."""
    mode = "w:gz" if path.suffix in (".gz", ".tgz") else "w"
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        first = {name.partition("/")[0] for name in files if "/" in name}
        for folder in sorted(first - {"", ".."}):
            info = tarfile.TarInfo(folder)
            info.type = tarfile.DIRTYPE
            archive.addfile(info)
        for info in others:
            archive.addfile(info, io.BytesIO(bytes(info.size)))
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def write_zip(path: Path, files: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def write_folder(root: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)
