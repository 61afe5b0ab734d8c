"""The pictures of README.md, from what the pipeline left in out/: `python tests/pictures.py`, or `make pictures`."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from lab import copied, run_all, running_browser, running_lab, shut_down
from PIL import Image

from hiddenstates.core.files import sha256
from hiddenstates.core.paths import NOTEBOOKS, ROOT, out_folder

FOLDER = ROOT / "docs" / "pictures"
LIST = FOLDER / "pictures.json"
"""Of each picture the numbers that it belongs to, and their hash."""

FIGURES = {
    "layers.png": ("strategies/minilm/figures/heatmap.png", "strategies/minilm/details.json"),
    "differences.png": ("compare/figures/differences.png", "compare/details.json"),
}
EXPLORER = "explorer.png"
WIDEST = 1000  # pixels


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, (figure, _) in FIGURES.items():
        save(Image.open(out_folder() / figure), FOLDER / name)
    photograph(FOLDER / EXPLORER)
    numbers = {name: numbers for name, (_, numbers) in FIGURES.items()} | {EXPLORER: "states/details.json"}
    listed = {name: {"numbers": path, "sha256": sha256(out_folder() / path)} for name, path in numbers.items()}
    LIST.write_text(json.dumps(listed, indent=2) + "\n", encoding="utf-8")


def save(picture: Image.Image, path: Path) -> None:
    """In at most 256 colours and `WIDEST` pixels: a third of the bytes."""
    picture = picture.convert("RGB")
    picture.thumbnail((WIDEST, 10 * WIDEST))
    picture.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


def photograph(path: Path) -> None:
    """The explorer over all passages, after a question, by the strategy that was chosen, and why the first is first."""
    with (
        TemporaryDirectory() as home,
        TemporaryDirectory() as folder,
        running_browser() as browser,
        running_lab(Path(home), Path(folder), out_folder()) as lab,
    ):
        page = run_all(copied(NOTEBOOKS / "explorer.ipynb", Path(folder)), lab, browser)
        page.set_viewport_size({"width": 1300, "height": 1500})
        page.get_by_label("take", exact=True).select_option(index=2)  # what the stage chose
        page.wait_for_timeout(15000)  # its whitening is fitted
        page.get_by_label("question").fill("Which country borders Iran, Georgia and Turkey?")
        page.get_by_label("question").press("Enter")
        page.wait_for_timeout(2000)
        page.get_by_role("button", name="why?").first.click()
        page.wait_for_timeout(2000)
        page.locator(".hs-explorer").first.screenshot(path=path)
        shut_down(page)
    save(Image.open(path), path)


if __name__ == "__main__":
    main()
