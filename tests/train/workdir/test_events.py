"""Events are read by TensorBoard's format, and written at once."""

import errno
import resource
import struct
from pathlib import Path

import pytest
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.record_writer import masked_crc32c

from train.workdir.events import Events


def read(folder: Path) -> list[Event]:
    (path,) = folder.glob("events.out.tfevents.*")
    content, events = path.read_bytes(), []
    while content:
        (size,) = struct.unpack("<Q", content[:8])
        head, body, rest = content[:8], content[12 : 12 + size], content[16 + size :]
        sums = struct.unpack("<II", content[8:12] + content[12 + size : 16 + size])
        assert sums == (masked_crc32c(head), masked_crc32c(body))
        events.append(Event.FromString(body))
        content = rest
    return events


def test_events_are_there_at_once(tmp_path: Path) -> None:
    events = Events(tmp_path, 5)
    events.add(5, "val", {"mean_iou": 0.5, "pixel_accuracy": 0.75})
    first, _, begins, values = read(tmp_path)
    assert first.file_version == "brain.Event:2"
    assert begins.step == 5 and begins.session_log.status == 1  # hides later ones
    assert values.step == 5 and values.wall_time >= first.wall_time > 0
    found = {value.tag: value.simple_value for value in values.summary.value}
    assert found == {"val/mean_iou": 0.5, "val/pixel_accuracy": 0.75}


def test_full_disk_is_an_error_at_once(tmp_path: Path) -> None:
    events = Events(tmp_path, 0)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400, before[1]))
    try:
        with pytest.raises(OSError) as raised:
            for step in range(20):  # more than a queue would take
                events.add(step, "train", {"loss": 1.0})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert raised.value.errno == errno.EFBIG
    assert "events.out.tfevents" in str(raised.value.filename)
