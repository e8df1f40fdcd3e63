"""Mistakes in sums of losses, auxiliary heads and weights of the classes."""

from .trainer import of

SUMS = (
    of(
        "train/training/loss_sum.py",
        "tests/train/training/test_loss_sum.py",
        ("factors lost", "total + term.factor * losses", "total + losses"),
        ("terms with factors", "= losses\n    ", "= term.factor * losses\n    "),
        ("one term alone logged", "found if len(terms) > 1 else {}", "found"),
        ("twice", "[other.name for other in terms]", "[]"),
        ("rest passed over", "    if sign:\n", "    if not text:\n"),
        ("places from 0", "(character {place + 1})", "(character {place})"),
        ("no factor of 0", "if not 0 < factor <", "if not 0 <= factor <"),
    )
    + of(
        "train/training/region_losses.py",
        "tests/train/training/test_loss_sum.py",
        ("sums swapped", 'region_sums == "image"', 'region_sums != "image"'),
        (
            "unweighted",
            "class_weights=options.weight_per_class()",
            "class_weights=None",
        ),
        ("alpha for beta", "beta=options.tversky_beta", "beta=options.tversky_alpha"),
        (
            "Dice for Jaccard",
            "options, lal_jax.jaccard_loss",
            "options, lal_jax.dice_loss",
        ),
    )
    + of(
        "train/training/losses.py",
        "tests/train/training/test_loss_sum.py",
        ("sharp", "label_smoothing=options.label_smoothing", "label_smoothing=0.0"),
    )
    + of(
        "train/training/step.py",
        "tests/train/training/test_loss_sum.py",
        ("terms add up", "jnp.mean(term, axis=0)", "jnp.sum(term, axis=0)"),
    )
    + of(
        "train/training/step.py",
        "tests/train/training/test_auxiliary.py",
        ("auxiliary alone", "recipe.loss.auxiliary * sum", "sum"),
    )
    + of(
        "train/training/additions.py",
        "tests/train/training/test_loss_options.py",
        ("exported", "        delattr(model, name)", "        str()"),
        ("starts at 1", "nnx.Param(jnp.log(scale))", "nnx.Param(0 * scale)"),
    )
    + of(
        "train/training/additions.py",
        "tests/train/training/test_auxiliary.py",
        ("heads exported", "(_SCALE, _HEADS) if", "(_SCALE,) if"),
        ("next stage", "outputs.maps[stage - 1]", "outputs.maps[0]"),
        ("any stage", "if max(options.auxiliary_stages) > len", "if 0 > len"),
    )
    + of(
        "train/training/class_weighting.py",
        "tests/train/training/test_class_weighting.py",
        ("rules as files", "and (name,) not in RULES ", ""),
        ("numbers as files", 'not after or after[0].startswith("--")', "True"),
        ("any word", "strange or not words", "not words"),
        ("0 in silence", "if single(weight) == 0]", "if single(weight) < 0]"),
        ("regions warned", "not options.has(*_OF_PIXELS) or ", ""),
    )
)
