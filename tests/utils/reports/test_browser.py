"""Report pages in a real browser: no errors, no requests, charts that can be seen, keyboard, dark mode, true numbers.

They need Chromium and its driver (Debian: chromium, chromium-driver).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

CHROMIUM, DRIVER = shutil.which('chromium'), shutil.which('chromedriver')
pytestmark = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None, reason='NOT RUN: chromium and chromedriver are not installed'
)
QUIET = (
    '--headless=new',
    '--no-sandbox',
    '--disable-gpu',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
)
LEAST_CONTRAST = 4.5
"""Of text on its background, by WCAG 2.1, level AA."""
COLOURS = """
const of = name => getComputedStyle(document.body)[name].match(/[\\d.]+/g).slice(0, 3).map(Number);
return [of('color'), of('backgroundColor')];
"""
SIZES = """
return [...document.querySelectorAll('svg, img')].map(chart => {
  const box = chart.getBoundingClientRect();
  return [box.width, box.height, chart.querySelectorAll('*').length || chart.naturalWidth];
});
"""


@pytest.fixture(scope='module')
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for word in (*QUIET, f'--user-data-dir={tmp_path_factory.mktemp("profile")}'):
        options.add_argument(word)
    options.set_capability('goog:loggingPrefs', {'browser': 'ALL', 'performance': 'ALL'})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    driver.get('about:blank')
    yield driver
    driver.quit()


def opened(browser: webdriver.Chrome, page: Path, scheme: str = 'light', width: int = 1280) -> None:
    feature = {'name': 'prefers-color-scheme', 'value': scheme}
    browser.execute_cdp_cmd('Emulation.setEmulatedMedia', {'features': [feature]})
    browser.set_window_size(width, 900)
    browser.get(page.as_uri())


def requests(browser: webdriver.Chrome) -> list[str]:
    messages = (json.loads(entry['message'])['message'] for entry in browser.get_log('performance'))
    return [message['params']['request']['url'] for message in messages if message['method'].endswith('WillBeSent')]


def luminance(colour: list[float]) -> float:
    """Relative luminance of an sRGB colour, 0 to 255 per channel (WCAG 2.1)."""
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in (value / 255 for value in colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_a_report_is_complete_in_itself(browser: webdriver.Chrome, pruned_run: Any):
    page = pruned_run.path / 'report.html'
    browser.get_log('performance'), browser.get_log('browser')
    opened(browser, page)
    assert [url for url in requests(browser) if not url.startswith('data:')] == [page.as_uri()]
    assert browser.get_log('browser') == []
    sizes = browser.execute_script(SIZES)
    assert len(sizes) >= 2 and all(width > 100 and height > 50 and parts > 3 for width, height, parts in sizes)


@pytest.mark.parametrize('width', [1280, 500])
def test_only_wide_tables_and_charts_scroll_sideways(browser: webdriver.Chrome, pruned_run: Any, width: int):
    opened(browser, pruned_run.path / 'report.html', width=width)
    assert browser.execute_script('return document.documentElement.scrollWidth <= window.innerWidth')


@pytest.mark.parametrize(('scheme', 'is_dark'), [('light', False), ('dark', True)])
def test_text_is_readable_by_day_and_by_night(browser: webdriver.Chrome, pruned_run: Any, scheme: str, is_dark: bool):
    opened(browser, pruned_run.path / 'report.html', scheme)
    text, background = map(luminance, browser.execute_script(COLOURS))
    assert (background < text) == is_dark
    assert (max(text, background) + 0.05) / (min(text, background) + 0.05) >= LEAST_CONTRAST


def test_the_keyboard_reaches_each_part_that_scrolls(browser: webdriver.Chrome, pruned_run: Any):
    opened(browser, pruned_run.path / 'report.html', width=500)
    regions = browser.find_elements(By.CSS_SELECTOR, '[role=region]')
    assert regions
    reached = []
    for _ in regions:
        browser.switch_to.active_element.send_keys(Keys.TAB)
        reached.append(browser.switch_to.active_element)
    assert reached == regions
    assert regions[-1].value_of_css_property('outline-style') == 'solid'
    is_wide = 'return arguments[0].scrollWidth > arguments[0].clientWidth'
    wide = next(region for region in regions if browser.execute_script(is_wide, region))
    wide.send_keys(Keys.ARROW_RIGHT)
    WebDriverWait(browser, 5).until(lambda driver: driver.execute_script('return arguments[0].scrollLeft', wide) > 0)


def test_the_numbers_are_those_of_the_report(browser: webdriver.Chrome, pruned_run: Any):
    opened(browser, pruned_run.path / 'report.html')
    cells = {
        row.find_element(By.TAG_NAME, 'th').text: [cell.text for cell in row.find_elements(By.TAG_NAME, 'td')]
        for row in browser.find_elements(By.CSS_SELECTOR, 'tbody tr')
    }
    models = [pruned_run.report[name] for name in ('baseline', 'compressed')]
    for name, words in {
        'accuracy': [f'{model["metrics"]["accuracy"]:.2%}'.replace('%', ' %') for model in models],
        'accuracy of the exported file': [
            f'{model["file_metrics"]["accuracy"]:.2%}'.replace('%', ' %') for model in models
        ],
        'parameters': [f'{model["parameters"]:,}' for model in models],
        'multiply-accumulates (MACs)': [f'{model["macs"]:,}' for model in models],
        'exported file, bytes': [f'{model["file_bytes"]:,}' for model in models],
        'latency p50, one thread': [f'{model["latency_ms"]["p50"]:.3f} ms' for model in models],
    }.items():
        assert cells[name][:2] == words, name
    for row in pruned_run.report['layers']:
        before, after = (f'{macs:,}' for macs in row['macs'])
        assert [before, after] == cells[row['layer']][3:5]
