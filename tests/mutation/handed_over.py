"""Mistakes with what is handed over that tests must notice."""

from __future__ import annotations

from tests.mutation.trainer import Mutant, of

HANDED_OVER: list[Mutant] = [
    *of(
        "train/common/sealed.py",
        "tests/train/common/test_sealed.py",
        ("checksum unread", "elif found != _checksum(", "elif False and ("),
        ("missing is fine", "if always(content):", "if False:"),
        ("twice is fine", "if name in table:", "if False:"),
    ),
    *of(
        "train/training/manifest.py",
        "tests/train/training/test_checkpoint.py",
        ("manifest unread", 'return ", ".join(differing)', 'return ""'),
    ),
    *of(
        "train/training/checkpoint.py",
        "tests/train/training/test_checkpoint.py tests/train/training/test_position.py",
        (
            "left in place",
            "        self._damaged += damaged\n",
            "        str()\n",
        ),
        ("arrays unchecked", "elif position.checksum != ", "elif False and 0 != "),
        ("other configuration", '"config": (config, ""),', '"config": {config},'),
    ),
    *of(
        "train/training/position.py",
        "tests/train/training/test_checkpoint.py tests/train/training/test_position.py",
        ("position unchecked", "position.seal not in (None, _seal(rest))", "False"),
        ("unknown fields", ", forbid_unknown_fields=True", ""),
        ("seconds of any kind", "seconds: Annotated[", "seconds: Any  # ["),
    ),
    *of(
        "models/checksums.py",
        "tests/models/test_weights.py",
        (
            "always whole",
            "return checksum_of_rest(file, begun) == stated",
            "return True",
        ),
    ),
    *of(
        "models/weights.py",
        "tests/models/test_safetensors_files.py",
        (
            "kinds of NumPy",
            "except Exception as error:  # NumPy",
            "except KeyError as error:  # NumPy",
        ),
    ),
    *of(
        "models/weights.py",
        "tests/models/test_convert_checkpoint.py",
        ("key of metadata", "if checksums.METADATA in arrays:", "if False:"),
    ),
    *of(
        "models/convert_checkpoint.py",
        "tests/models/test_convert_checkpoint.py",
        ("escapes printed", "return inert(text).encode", "return text.encode"),
        ("any epsilon", "type=positive", "type=float"),
        ("of another source", "read_weights(source, header)", "read_weights(source)"),
    ),
    *of(
        "models/pickles.py",
        "tests/models/test_torch_files.py",
        ("calls without end", "if self.left < 0:", "if False:"),
        ("operations without end", "if count >= MOST_OPERATIONS:", "if False:"),
    ),
    *of(
        "train/training/initial_weights.py",
        "tests/train/test_handed_over.py",
        (
            "any option",
            "            ModelOptions(**{name: known[name]})",
            "            str()",
        ),
    ),
    *of(
        "train/training/network.py",
        "tests/train/test_config.py",
        ("many dilations", "len(dilations) <= 16 and ", ""),
        ("wide dilations", "1 <= one <= 128 for one", "1 <= one for one"),
    ),
    *of(
        "train/config.py",
        "tests/train/test_config.py",
        ("any text", "if not all(is_path(part)", "if not all(part != 0"),
    ),
    *of(
        "train/common/files.py",
        "tests/train/common/test_files.py",
        ("through a link", "if path.is_symlink():", "if False:"),
    ),
    *of(
        "models/files.py",
        "tests/train/common/test_files.py",
        (
            "over another",
            'partial.open("x+b")',
            'path.with_suffix(".partial").open("wb")',
        ),
    ),
    *of(
        "train/common/command.py",
        "tests/train/common/test_cache.py",
        ("cache of others", "found.st_mode & 0o022", "False"),
        ("cache of another", "found.st_uid != os.geteuid() or", ""),
        ("cache for all", "mode=0o700, ", ""),
    ),
    *of(
        "train/evaluation/own_pictures.py",
        "tests/train/test_overwriting.py",
        ("any mark", "mark == _checksum(picture)", "True"),
        ("links", "path.is_symlink() or", ""),
    ),
    *of(
        "train/export.py",
        "tests/train/test_overwriting.py",
        ("source lost", "place.exists() and place.samefile(run)", "False"),
    ),
    *of(
        "train/predict.py",
        "tests/train/test_handed_over.py",
        (
            "planted cache",
            "cache_compilations(prediction.compilation_cache)",
            "cache_compilations(trained.config.run.compilation_cache)",
        ),
    ),
    *of(
        "train/workdir/contents.py",
        "tests/train/workdir/test_contents.py",
        (
            "rest of the lines",
            "whole.append(_metrics(line))",
            "whole[:] = [_metrics(line)]",
        ),
        ("any line", "msgspec.convert(place, ", "str(place, "),
        ("texts as metrics", "and value is not None:", "and not value:"),
        ("any share", "msgspec.convert(reached, Share)", "pass"),
        ("any step", "ge=0, lt=2**31)]\nNames", "ge=0)]\nNames"),
        (
            "numbers as texts",
            "            _check_number(name, result.",
            "            (result.",
        ),
        ("texts as numbers", "msgspec.convert(value, float)", "float(value)"),
        ("colors uncounted", "if len(colors) !=", "if False and 0 !="),
        ("any name", "if fault := fault_of_names(names):", "if fault := None:"),
        ("any path", "if not is_path(path):", "if False:"),
    ),
    *of(
        "train/workdir/trained.py",
        "tests/train/test_handed_over.py",
        (
            "limit lifted",
            "min(config.data.pixel_limit, PIXEL_LIMIT)",
            "config.data.pixel_limit",
        ),
        ("any names", "    check_named_and_colored(names, colors)\n", ""),
        ("unknown metadata", "sorted(metadata.keys() - _METADATA)", "[]"),
        ("checksum removed", "if is_sealed(content):", "if False:"),
    ),
    *of(
        "train/data/inside.py",
        "tests/train/training/test_strange_checkpoints.py",
        (
            "files by links",
            "if path.is_symlink():",
            "if path.is_symlink() and path.is_dir():",
        ),
    ),
    *of(
        "train/training/checkpoint.py",
        "tests/train/training/test_strange_checkpoints.py",
        ("pieces of any size", 'if "state" in wanted:', "if False:"),
        ("read at once", "lightweight_initialize=True", "lightweight_initialize=False"),
    ),
    *of(
        "train/training/position.py",
        "tests/train/training/test_strange_checkpoints.py",
        ("renamed", "if str(position.step) != place.name:", "if False:"),
    ),
    *of(
        "models/pickles.py",
        "tests/models/test_pickled_keys.py",
        ("any hash", "abs(key) > _LARGEST_KEY", "abs(key) > 2**62"),
        ("any number of an object", "if index > len(self.memo) + 1:", "if False:"),
    ),
    *of(
        "train/data/convert/conversion.py",
        "tests/train/data/convert/test_coco_refusals.py",
        ("ids of any size", "msgspec.Meta(ge=-(2**62), lt=2**62)", "msgspec.Meta()"),
    ),
    *of(
        "train/experiments/entries.py",
        "tests/train/experiments/test_damaged_results.py",
        (
            "any class",
            "if fault := fault_of_names(list(self.pixels)):",
            "if fault := '':",
        ),
        ("no pixels", "if not any(self.pixels.values()):", "if False:"),
        (
            "any share",
            "Share\n    pixel_accuracy: Share",
            "float\n    pixel_accuracy: float",
        ),
    ),
    *of(
        "train/experiments/publish.py",
        "tests/train/experiments/test_findings.py",
        ("code of backticks", "parts = _CODE.split(text)", "parts = text.split('`')"),
    ),
    *of(
        "train/data/inside.py",
        "tests/train/data/test_seeming_names.py",
        ("links to nothing", "if os.path.islink(path) and not", "if False and not"),
        ("in any letters", "if name and found not in names and", "if False and"),
        ("own letters", "found not in names and not os", "not os"),
    ),
    *of(
        "train/data/plain_pairs.py",
        "tests/train/data/test_seeming_names.py",
        ("folders of splits gone", "    check_links_in(root)\n", ""),
    ),
    *of(
        "train/data/voc.py",
        "tests/train/data/test_seeming_names.py",
        ("spelling of lists", "LISTS.parts[0], *lists))", "LISTS.parts[0]))"),
        (
            "spelling of folders",
            "check_spelling(root / LISTS.parts[0], LISTS.parts[1:])",
            "pass",
        ),
    ),
    *of(
        "train/data/voc_files.py",
        "tests/train/data/test_seeming_names.py",
        ("masks gone", "        check_links(found)\n", ""),
    ),
    *of(
        "train/data/dataset.py",
        "tests/train/data/test_seeming_names.py",
        ("gone at the top", "        check_links_in(place)\n", "        str()\n"),
        ("gone beside lists", "(folder, folder / LISTS.parts[0])", "(folder,)"),
    ),
    *of(
        "train/data/split_lists.py",
        "tests/train/data/test_seeming_names.py",
        ("lists gone", "    check_links([path])\n", ""),
        ("hidden lists", 'glob("[!.]*.txt")', 'glob("*.txt")'),
    ),
    *of(
        "train/data/batches.py",
        "tests/train/data/test_workers.py",
        ("limits of workers", "    limit_pixels(limit)\n", ""),
    ),
    *of(
        "train/data/images.py",
        "tests/train/data/test_strange_records.py",
        ("turned masks", "if turned != 1 and not named:", "if False:"),
    ),
    *of(
        "train/data/layouts.py",
        "tests/train/data/test_work_of_folders.py",
        ("looked into again", "            own.add(real)\n", ""),
    ),
    *of(
        "train/data/inside.py",
        "tests/train/data/test_work_of_folders.py",
        (
            "under each link",
            "first.setdefault(identity(path), path)",
            "first[0, len(first)] = path",
        ),
        ("folders before links", "key=lambda path: (path.is_symlink(), path)", ""),
    ),
    *of(
        "train/data/palette.py",
        "tests/train/data/test_palette.py",
        ("colors that lack", "if largest >= entries:", "if False:"),
    ),
    *of(
        "train/data/png_chunks.py",
        "tests/train/data/test_palette.py",
        ("no palette", 'if kind == b"IDAT" and no_palette:', "if False:"),
        ("empty palettes", 'kind != b"PLTE" or not length', 'kind != b"PLTE"'),
    ),
]
