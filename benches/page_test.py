#!/usr/bin/env python3
"""Tests of page.py and of what it takes from compare.py: small figures in, a page out. Run: benches/page_test.py"""
import re
import unittest
import xml.etree.ElementTree as xml

import compare
import page

FIGURES = {"wall_ms": 20.0, "cpu_ms": 19.0, "peak_mib": 8.0, "steady_ms": 4.0}
TWICE = {key: 2 * value for key, value in FIGURES.items()}
DATA = {
    "trees": {"cold": ["2026-01-02", "abcdef"]}, "machine": "a <machine> & more", "runs": {"cold": 3},
    "steady": {"lua": {"native": FIGURES, "brant": TWICE, "wasmi": {"error": "exit 1: no"}},
               "cpython": {"native": {"error": "no native build"}, "brant": FIGURES}},
    "cold": {"lua": {"wasmtime": TWICE, "brant": FIGURES}},
    "curve": {"lua": {"brant": {"at_ms": [50.0, 60.0, 65.0, 70.0, 75.0]}, "node": {"error": "exit 1"}}},
    "text": {"sqlite": {"text_mib": 15.0, "asm": {"brant": FIGURES, "wabt": TWICE}, "dis": {"brant": FIGURES}}},
}


def plots(text):
    return [xml.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", text, re.DOTALL)]


class Page(unittest.TestCase):
    def test_a_page_needs_nothing_but_itself(self):
        text = page.page(DATA)
        for outside in ("http", "<script", "url(", "@import", "<link", "<img"):
            self.assertNotIn(outside, text)

    def test_every_plot_is_well_formed_and_says_what_it_shows(self):
        found = plots(page.page(DATA))
        # Two of curves; two programs and a mean at full speed; a program and a mean, of times and of memory; two of
        # each direction of the assembler.
        self.assertEqual(len(found), 2 + 3 + 4 + 4)
        for plot in found:
            self.assertEqual(plot.get("role"), "img")
            self.assertTrue(plot.get("aria-label") or plot.get("aria-hidden"))

    def test_names_and_facts_are_escaped(self):
        text = page.page({**DATA, "cold": {"<b>": {"brant": FIGURES}}})
        self.assertIn("a &lt;machine&gt; &amp; more", text)
        self.assertNotIn("<b>", text)
        self.assertEqual(len(plots(text)), 13)

    def test_parts_that_were_not_measured_are_left_out(self):
        text = page.page({"cold": DATA["cold"]})
        self.assertEqual(re.findall(r"<h2>(.*?)</h2>", text), ["From the start to the end", "Memory"])

    def test_bars_are_as_long_as_their_values(self):
        plot, = plots(page.bars("a", "", {"brant": 1.0, "wasmi": 4.0, "node": "failed"}, str))
        widths = [float(bar.get("width")) for bar in plot if bar.tag == "rect"]
        self.assertEqual(len(widths), 2)
        self.assertAlmostEqual(widths[1] / widths[0], 4, places=1)
        self.assertEqual([word.text for word in plot if word.get("class", "").startswith("value")], ["1.0", "4.0", "failed"])

    def test_a_missing_build_is_no_failure(self):
        self.assertEqual(page.figure_of({"error": "no native build"}, "wall_ms"), "-")
        self.assertEqual(page.figure_of({"error": "exit 1: no"}, "wall_ms"), "failed")
        self.assertEqual(page.figure_of({"steady_ms": -1.0}, "steady_ms"), "-")

    def test_ratios_to_native_are_shown_where_there_is_native_code(self):
        _, _, plots_of_all = page.steady(DATA["steady"])
        lua = next(p for p in plots(plots_of_all) if p.get("aria-label").startswith("lua"))
        self.assertEqual(lua.get("aria-label"), "lua: native 1.00, brant 2.00, wasmi failed")
        python = next(p for p in plots(plots_of_all) if p.get("aria-label").startswith("cpython"))
        self.assertEqual(python.get("aria-label"), "cpython: native -, brant 4.00 ms")


class Curves(unittest.TestCase):
    def test_full_speed_is_reached_with_the_first_fast_piece(self):
        self.assertEqual(compare.peak_at_ms([100, 200, 300, 310, 320, 330, 340, 350]), 310)
        self.assertEqual(compare.peak_at_ms([10, 20, 30, 40]), 10)

    def test_one_slow_piece_in_between_changes_nothing(self):
        self.assertEqual(compare.peak_at_ms([10, 20, 30, 90, 100, 110, 120]), 10)

    def test_paces_are_relative_to_a_unit(self):
        points = page.pace([20, 30, 40, 50], 10)
        self.assertEqual(points, [(20, .5), (30, 1), (40, 1), (50, 1)])


if __name__ == "__main__":
    unittest.main()
