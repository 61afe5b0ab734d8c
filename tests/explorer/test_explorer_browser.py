"""The explorer in JupyterLab, in a real browser, on its small sample: whatever a reader does, the ranking follows."""

import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from lab import SECONDS, Lab, assert_all_ran, copied, needs_browser, run_all, save, shut_down
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from hiddenstates.core.paths import NOTEBOOKS
from hiddenstates.corpora.countries.flags import read_flag

pytestmark = needs_browser
expect.set_options(timeout=20 * SECONDS)


@pytest.fixture(scope="module")
def page(lab: Lab, browser: Browser) -> Iterator[Page]:
    """The notebook after Run All. The tests below go on one from another, as a reader would."""
    page = run_all(copied(NOTEBOOKS / "explorer.ipynb", lab.folder), lab, browser)
    page.set_viewport_size({"width": 1300, "height": 1300})
    yield page
    shut_down(page)


def type_question(page: Page, text: str) -> None:
    page.get_by_label("question").fill(text)
    page.get_by_label("question").press("Enter")


def upload(page: Page, file: Path) -> None:
    with page.expect_file_chooser() as chooser:
        page.locator(".hs-explorer .widget-upload").click()
    chooser.value.set_files(file)


def layer(page: Page, number: int) -> None:
    page.locator(".hs-layer").nth(number).click()


def passages(page: Page) -> list[str]:
    """The ids of the passages shown, best first."""
    rows = page.locator(".hs-ranking tr[data-passage]").all()
    return [row.get_attribute("data-passage") or "" for row in rows]


def expect_best(page: Page, passage: str) -> None:
    expect(page.locator(".hs-ranking tbody tr").first).to_have_attribute("data-passage", passage)


def expect_strategy(page: Page, written: str) -> None:
    expect(page.get_by_label("strategy", exact=True)).to_have_value(written)


def test_run_all_ends_without_an_error(page: Page, lab: Lab) -> None:
    save(page, lab.folder / "explorer.ipynb")
    assert_all_ran(nbformat.read(lab.folder / "explorer.ipynb", as_version=4))


def test_a_question_that_names_the_country_finds_it(page: Page) -> None:
    type_question(page, "What is the capital of Italy?")
    expect_best(page, "country/IT/capital")
    expect(page.locator(".hs-ranking img.hs-picture").first).to_be_visible()


def test_another_pooling_and_other_layers_rank_otherwise(page: Page) -> None:
    before = passages(page)
    page.get_by_label("pool").select_option("first")
    expect_strategy(page, "6/first")
    expect(page.locator(".hs-up, .hs-down").first).to_be_visible()
    assert passages(page) != before
    layer(page, 0)
    page.get_by_label("combine").select_option("concat")
    page.get_by_label("layer norm").check()
    expect_strategy(page, "concat(0,6)/first+ln")


def test_without_a_layer_it_says_so(page: Page) -> None:
    layer(page, 0)
    layer(page, 6)
    expect(page.get_by_role("alert")).to_have_text("No layer is chosen: switch at least one on.")
    layer(page, 6)
    page.get_by_label("pool").select_option("mean")
    page.get_by_label("layer norm").uncheck()
    expect_strategy(page, "6/mean")
    expect(page.get_by_role("alert")).to_have_count(0)


def type_strategy(page: Page, written: str, field: str = "strategy") -> None:
    page.get_by_label(field, exact=True).fill(written)
    page.get_by_label(field, exact=True).press("Enter")


def test_any_strategy_can_be_typed_and_taken(page: Page) -> None:
    type_strategy(page, "0.8*(0.4*6/mean & 0.6*concat(0,6)/max) & 0.2*bm25")
    expect(page.locator(".hs-up, .hs-down").first).to_be_visible()
    expect(page.locator(".hs-layer.mod-active")).to_have_text(["0", "6"])
    type_strategy(page, "7/mean")
    expect(page.get_by_role("alert")).to_contain_text("there is no state 7; this model has 0 to 6")
    page.get_by_label("take", exact=True).select_option("words alone: bm25")
    expect_strategy(page, "bm25")
    expect(page.get_by_role("alert")).to_have_count(0)
    type_strategy(page, "bm25", "against")
    expect(page.locator(".hs-up, .hs-down")).to_have_count(0)
    type_strategy(page, "6/mean", "against")
    type_strategy(page, "6/mean")
    expect(page.locator(".hs-layer.mod-active")).to_have_text(["6"])
    expect(page.locator(".hs-up, .hs-down")).to_have_count(0)


def test_the_question_s_own_grid_opens_and_a_click_chooses_a_state(page: Page) -> None:
    page.get_by_role("button", name="every layer × pooling").click()
    expect(page.locator(".hs-told").first).to_contain_text("No answer is known")
    example = page.get_by_label("example")
    example.select_option(index=1)
    expect(page.locator(".hs-cell").first).to_be_visible()
    expect(page.locator(".hs-curves polyline").first).to_be_visible()
    page.locator(".hs-cell").nth(2).click()
    expect_strategy(page, "2/first")
    page.get_by_role("button", name="every layer × pooling").click()
    expect(page.locator(".hs-cell")).to_have_count(0)
    type_strategy(page, "6/mean")
    type_question(page, "What is the capital of Italy?")


def weigh(page: Page, key: str, weight: str) -> None:
    """Press a key on the slider: Home leaves the text alone, End the image, an arrow goes a step of 0.05."""
    expect(page.locator(".hs-explorer .noUi-target")).not_to_have_attribute("disabled", re.compile(".*"))
    page.locator(".hs-explorer .noUi-handle").press(key)
    expect(page.locator(".hs-explorer .widget-readout")).to_have_text(weight)


def test_a_view_of_a_flag_moves_passages_up(page: Page) -> None:
    page.get_by_label("example").select_option(index=5)
    expect(page.get_by_label("question")).to_have_value(re.compile("flag"))
    expect(page.get_by_role("img", name="the question's image")).to_be_visible()
    expect(page.locator(".hs-ranking th")).to_have_count(7)
    weigh(page, "Home", "0.00")
    expect(page.locator(".hs-up, .hs-down")).to_have_count(0)  # the text alone, as by default
    by_text = passages(page)
    weigh(page, "End", "1.00")
    expect(page.locator(".hs-up").first).to_be_visible()
    assert passages(page) != by_text
    for weight in ("0.95", "0.90", "0.85", "0.80"):
        weigh(page, "ArrowLeft", weight)
    expect(page.locator(".hs-right .hs-up")).to_be_visible()  # the right passage is higher than by the text alone


def test_an_image_of_ones_own_finds_its_country(page: Page, tmp_path: Path) -> None:
    read_flag("KE").save(tmp_path / "a flag.png")
    page.get_by_label("example").select_option(index=4)
    upload(page, tmp_path / "a flag.png")
    expect(page.get_by_label("image")).to_have_value(re.compile("uploaded: a flag.png"))
    weigh(page, "End", "1.00")
    expect(page.locator(".hs-ranking tbody tr").first).to_contain_text("Kenya")
    expect(page.locator(".hs-ranking tbody tr").first.locator("td").last).to_have_text("1.000")


def test_what_is_no_image_is_refused_in_a_sentence(page: Page, tmp_path: Path) -> None:
    (tmp_path / "<b>notes.png").write_text("no image")
    before = passages(page)
    upload(page, tmp_path / "<b>notes.png")
    expect(page.get_by_role("alert")).to_contain_text("<b>notes.png: a broken image (no such format).")
    assert passages(page) == before


def test_what_is_typed_is_never_run(page: Page) -> None:
    type_question(page, "<script>window.caught = 1</script><img src=x onerror='window.caught = 1'>")
    expect(page.get_by_role("alert")).to_have_count(0)
    type_question(page, " ")
    expect(page.get_by_role("alert")).to_have_text("There is no question: type one and press Enter.")
    assert page.evaluate("window.caught") is None


def test_it_can_be_looked_at(page: Page, tmp_path: Path) -> None:
    page.get_by_label("example").select_option(index=3)
    expect(page.locator(".hs-ranking tbody tr").nth(9)).to_be_visible()
    picture = tmp_path / "explorer.png"
    page.locator(".hs-explorer").screenshot(path=picture)
    with Image.open(picture) as shot:
        assert shot.width > 700
        assert len(shot.convert("RGB").getcolors(2**24) or []) > 100  # not a blank page
