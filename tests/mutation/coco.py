"""Mistakes about COCO annotations, for `python -m tests.mutation`."""

from .trainer import of

COCO = [
    *of(
        "train/data/voc_classes.py",
        "tests/train/data/convert/test_coco_places.py",
        ("accents by the thousand", "len(name) <= LONGEST_NAME and _seen", "_seen"),
    ),
    *of(
        "train/data/convert/coco_places.py",
        "tests/train/data/convert/test_coco_places.py",
        ("accents of files", 'if max(map(len, inner.split("/"))) >', "if 0 >"),
    ),
    *of(
        "train/data/convert/coco_places.py",
        "tests/train/data/convert/test_roboflow.py",
        (
            "any JSON",
            "name).exists() for name in _OF_OTHERS)",
            "name).exists() for name in MASKS)",
        ),
    ),
    *of(
        "train/data/convert/coco_places.py",
        "tests/train/data/convert/test_coco_places.py",
        ("any letters", "in {folder.parent for folder in within}:", "in ():"),
    ),
    *of(
        "train/data/convert/coco_places.py",
        "tests/train/data/convert/test_coco.py",
        (
            "parts in any letters",
            "    check_spelling(root, SPLIT_FOLDERS)\n",
            "    str()\n",
        ),
        (
            "tables in any letters",
            "check_spelling(root / name, [ROBOFLOW_COCO])",
            "str()",
        ),
    ),
    *of(
        "train/data/convert/roboflow.py",
        "tests/train/data/convert/test_roboflow.py",
        ("parts in any letters", "    check_spelling(root, SPLIT_FOLDERS)\n", ""),
        (
            "parts of one name",
            "/ ROBOFLOW_TABLE for part in SPLIT_FOLDERS]",
            "/ ROBOFLOW_TABLE for part in ('train', 'valid', 'test')]",
        ),
    ),
    *of(
        "train/data/convert/conversion.py",
        "tests/train/data/convert/test_coco_places.py",
        ("a dot alone", "for part in (*parts, own)):", "for part in parts):"),
    ),
    *of(
        "train/data/convert/task_images.py",
        "tests/train/data/convert/test_task_images.py",
        ("long texts", "if len(address) > _LONGEST:", "if False:"),
    ),
    *of(
        "train/data/convert/coco.py",
        "tests/train/data/convert/test_looked_at_again.py",
        ("links within", " or path.resolve().is_relative_to(root.resolve())", ""),
    ),
    *of(
        "train/data/convert/coco_places.py",
        "tests/train/data/convert/test_coco.py "
        "tests/train/data/convert/test_coco_places.py",
        (
            "split without a name",
            'if not name or name.startswith("."):',
            "if name[:1] == '.':",
        ),
        ("folder above", 'if not name or name.startswith("."):', "if not name:"),
        ("one under two names", "is not there[0]:", "is None:"),
        ("passed over", "if unnamed and len(parts) > 1:", "if False:"),
        ("splits", "if len(files) > _MOST_PARTS:", "if False:"),
        ("leads out", 'if inner.is_absolute() or ".." in inner.parts or', "if"),
        ("another form", 'for form in ("NFC", "NFD"):', "for form in ():"),
        ("missing", "    if missing:\n", "    if False:\n"),
        ("year in the split", 're.sub("[0-9]+$", "", name)', "name"),
        ("one part listed", "if len(parts) == 1 else parts", "if False else parts"),
        ("folders gone", "    check_links(part.folders)\n", ""),
        ("images gone", "        check_links([folder])\n", ""),
        ("not on the way", "PurePosixPath(inner).parts:", "[inner]:"),
        ("hidden tables", 'tables = "[!.]*.json"', 'tables = "*.json"'),
        ("hidden beside", 'beside.glob("[!.]*")]', 'beside.glob("*")]'),
        ("beside pairs", "pairs = has_plain_pairs(root) and", "pairs = False and"),
        ("annotations alone", '[*beside.glob("[!.]*")] != files', "True"),
    ),
    *of(
        "train/data/convert/coco_places.py",
        "tests/train/data/test_two_of_a_name.py",
        (
            "first image",
            "            _check_same(there[0], other, part.path)\n",
            "",
        ),
        (
            "files of one split",
            "raise two_of_split(part.split, earlier, part.path)",
            "continue",
        ),
    ),
    *of(
        "train/data/convert/coco.py",
        "tests/train/data/convert/test_links.py",
        ("folders elsewhere", "set(folders)", "{root}"),
    ),
    *of(
        "train/data/convert/coco.py",
        "tests/train/data/convert/test_looked_at_again.py",
        ("compared once", "[*tables, *own]", "tables"),
        ("pictures beside", "set(folders)", "{root, *folders}"),
    ),
    *of(
        "train/data/convert/coco.py",
        "tests/train/data/convert/test_coco.py "
        "tests/train/data/convert/test_coco_refusals.py",
        (
            "no objects",
            "if not any(content.annotations for content in contents):",
            "if False:",
        ),
        ("spaces", "is_background(name))", 'name.lower() == "background")'),
        ("crowds passed over", "having[True] - having[False]", "set()"),
        ("crowds of any", "having[True] - having[False]", "having[True]"),
        ("none covers a pixel", "    if not seen:\n", "    if False:\n"),
        ("sizes", "if size != (image.height, image.width):", "if False:"),
        ("categories", "if categories != named[0]:", "if False:"),
        (
            "categories twice",
            "if len({key_of(id) for id, _ in categories}) < len(categories):",
            "if False:",
        ),
        ("images twice", "if len(known) < len(content.images):", "if False:"),
        ("unknown image", "if image not in known or", "if"),
        (
            "unknown category",
            "or key_of(annotation.category_id) not in classes:",
            "or False:",
        ),
        (
            "background twice",
            "zero = [key for key, is_background in keys if is_background]",
            "zero = [key for key, is_background in keys if False]",
        ),
    ),
    *of(
        "train/data/convert/coco_masks.py",
        "tests/train/data/convert/test_coco.py "
        "tests/train/data/convert/test_coco_masks.py "
        "tests/train/data/convert/test_coco_refusals.py",
        ("long ids", "Annotated[str, msgspec.Meta(max_length=1000)]", "str"),
        ("without pixels", "if not area and unseen is not None:", "if False:"),
        ("polygons of no length", "_POLYGON + np.maximum", "np.maximum"),
        ("corners of no length", "np.maximum(edges, 1).sum()", "edges.sum()"),
        ("row by row", ".reshape(width, height).T", ".reshape(height, width)"),
        ("larger on top", ", -area, index", ", area, index"),
        ("crowds on top", "(not annotation.iscrowd, -", "(annotation.iscrowd, -"),
        ("endless edges", "if length > most:", "if False:"),
        ("crowds are objects", "IGNORED if annotation.iscrowd else classes", "classes"),
        ("boxes", "if not segmentation:", "if segmentation is None:"),
        (
            "far outside",
            "if not ((corners >= low) & (corners <= high)).all():",
            "if False:",
        ),
        ("corners", "if len(polygon) < 6 or len(polygon) % 2:", "if len(polygon) % 2:"),
        (
            "odd numbers",
            "if len(polygon) < 6 or len(polygon) % 2:",
            "if len(polygon) < 6:",
        ),
        ("size", "if segmentation.size != size:", "if False:"),
    ),
    *of(
        "train/data/convert/coco_masks.py",
        "tests/train/data/test_work_of_folders.py",
        ("painted each alone", "painted += area\n", "painted = area\n"),
    ),
    *of(
        "train/data/convert/drawn_pixels.py",
        "tests/train/data/convert/test_coco_refusals.py",
        ("heads alone", "if self._pixels > _PIXELS_A_BYTE", "if 0 > _PIXELS_A_BYTE"),
        ("edges of each alone", "self._edges += length", "self._edges = length"),
        (
            "bytes of tables",
            "count = self._bytes + self._bytes_of_tables",
            "count = self._bytes",
        ),
        ("bytes of images", "count = self._bytes + ", "count = "),
    ),
    *of(
        "train/data/convert/label_studio.py",
        "tests/train/data/convert/test_task_images.py",
        (
            "heads alone",
            "pixels.add(image, size := upright_size(image))",
            "size = upright_size(image)",
        ),
    ),
    *of(
        "train/data/convert/conversion.py",
        "tests/train/data/convert/test_conversion.py",
        ("beginnings of files", r"|^\ufeff", ""),
    ),
    *of(
        "train/data/convert/task_images.py",
        "tests/train/data/convert/test_label_studio.py "
        "tests/train/data/convert/test_task_images.py",
        ("prefix of uploads", '_DIGITS.sub("", name)', "name"),
        ("uploads alone", "if found or not _is_upload(address):", "if found:"),
        ("own names first", "found = self._own.get(name, [])", "found = []"),
        ("local files", 'if path.rstrip("/").endswith(_LOCAL):', "if False:"),
        (
            "d of any site",
            'if path.rstrip("/").endswith(_LOCAL):',
            'if "d=" in address:',
        ),
        ("first of two", 'fields.get("d", [""])[-1]', 'fields.get("d", [""])[0]'),
        ("uploads of clouds", " and not _CLOUD.match(address)", ""),
        (
            "uploads of any site",
            "(?:.*/data/upload/[0-9]+|/data/upload)",
            ".*/upload(?:/[0-9]+)?",
        ),
        ("uploads in fields", 'address.partition("?")[0]', "address"),
        ("a name twice", "found[name] = text", "found[text] = text"),
        ("other folders", "and folder not in (", "and not ("),
        ("quoted names", "unquote(parts.path)", "parts.path"),
        ("keys of clouds", "if _CLOUD.match(address):", "if False:"),
        ("two files", "if len(found) != 1:", "if not found:"),
        ("images of two", "if len(places := self._places[found[0]]) > 1:", "if False:"),
        ("fields by the million", ", max_num_fields=_FIELDS", ""),
    ),
    *of(
        "train/data/convert/coco.py",
        "tests/train/data/convert/test_coco_places.py",
        (
            "links beside",
            "for path in twins if _is_below(path, root))",
            "for path in twins)",
        ),
    ),
    *of(
        "train/data/convert/coco_places.py",
        "tests/train/data/convert/test_coco_places.py",
        ("names as they are", 'name if "\\\\" in name else inner, inner', "inner,"),
    ),
    *of(
        "train/data/convert/brush_regions.py",
        "tests/train/data/convert/test_brush_regions.py",
        (
            "long names of tools",
            "shortened(name, 300)\n        raise",
            "name\n        raise",
        ),
        (
            "long labels",
            "region of {shortened(labels[0])!r}",
            "region of {labels[0]!r}",
        ),
        ("long names of masks", "…-{shortened(name, 300)}.png", "…-{name}.png"),
    ),
    *of(
        "train/data/convert/label_studio.py",
        "tests/train/data/convert/test_brush_regions.py",
        ("spaces", "is_background(label)", 'label.lower() == "background"'),
    ),
]
