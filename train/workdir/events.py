"""Events of TensorBoard, written where they are logged.

tensorboardX's own writer has a thread, and a run would wait forever for one that a full
disk has ended.
"""

from __future__ import annotations

import io
import os
import socket
import struct
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.summary_pb2 import Summary
from tensorboardX.record_writer import masked_crc32c

from train.common.files import append_bytes

_VERSION = "brain.Event:2"  # which the first event of a file states


class Events:
    """A file of events, whose values replace those of earlier files.

    Args:
      folder: where it is made.
      first_step: from which on earlier values are hidden.
    """

    def __init__(self, folder: Path, first_step: int):
        place = f"{time.time():.0f}.{socket.gethostname()}.{os.getpid()}"
        self._path = folder / f"events.out.tfevents.{place}"
        begins = SessionLog(status=SessionLog.START)
        self._write(Event(wall_time=time.time(), file_version=_VERSION))
        self._write(Event(step=first_step, file_version=_VERSION))
        self._write(Event(step=first_step, session_log=begins))

    def add(self, step: int, split: str, metrics: Mapping[str, float]) -> None:
        """Adds the metrics of a step.

        Raises:
          OSError: it names the file, also where the disk is full.
        """
        values = [
            Summary.Value(tag=f"{split}/{name}", simple_value=value)
            for name, value in metrics.items()
        ]
        self._add(step, values)

    def show(self, step: int, pictures: Mapping[str, Image.Image]) -> None:
        """Adds the pictures of a step, by their names.

        Raises:
          OSError: as `add`.
        """
        self._add(
            step,
            [
                Summary.Value(tag=f"panels/{name}", image=_encoded(picture))
                for name, picture in pictures.items()
            ],
        )

    def _add(self, step: int, values: Sequence[Any]) -> None:
        summary = Summary(value=values)
        self._write(Event(wall_time=time.time(), step=step, summary=summary))

    def _write(self, event: Any) -> None:
        content = event.SerializeToString()
        size = struct.pack("<Q", len(content))
        sums = (struct.pack("<I", masked_crc32c(part)) for part in (size, content))
        append_bytes(self._path, size + next(sums) + content + next(sums))


def _encoded(picture: Image.Image) -> Any:
    """Returns a picture, in RGB, as events have it."""
    width, height = picture.size
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return Summary.Image(
        height=height,
        width=width,
        colorspace=3,  # RGB
        encoded_image_string=buffer.getvalue(),
    )
