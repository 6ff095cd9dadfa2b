"""scripts/tidy finds what it says it finds: each check gets a text that breaks its rule."""

import importlib.machinery
import importlib.util
import unittest
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "scripts/tidy"
loader = importlib.machinery.SourceFileLoader("tidy", str(SCRIPT))
tidy = importlib.util.module_from_spec(importlib.util.spec_from_loader("tidy", loader))
loader.exec_module(tidy)

HEADER = "// SPDX-License-Identifier: Apache-2.0\n#pragma once\n"


def layers(path, text):
    return list(tidy.layer_findings(path, text))


def texts(path, text):
    return list(tidy.text_findings(path, text))


class Layers(unittest.TestCase):
    def test_a_layer_may_include_itself_and_those_below(self):
        self.assertEqual(layers("src/hal/x.hpp", '#include "hal/y.hpp"\n#include "virtio/z.hpp"\n'), [])

    def test_a_layer_must_not_include_one_above(self):
        found = layers("src/virtio/x.hpp", '#include "base/a.hpp"\n#include "fuse/y.hpp"\n')
        self.assertEqual(len(found), 1)
        self.assertTrue(found[0].startswith("src/virtio/x.hpp:2: virtio must not include fuse"))

    def test_back_ends_do_not_know_each_other(self):
        self.assertEqual(len(layers("src/fs/null/x.hpp", '#include "fs/mirror/y.hpp"\n')), 1)
        self.assertEqual(layers("src/fs/null/x.hpp", '#include "fs/null/y.hpp"\n'), [])

    def test_the_protocol_does_not_know_transports(self):
        self.assertEqual(len(layers("src/fuse/x.hpp", '#include "hal/vhost_user/device.hpp"\n')), 1)


class Texts(unittest.TestCase):
    def test_a_clean_header_passes(self):
        self.assertEqual(texts("src/base/x.hpp", HEADER), [])

    def test_a_missing_licence_line_and_pragma_are_found(self):
        self.assertEqual(len(texts("src/base/x.hpp", "int x;\n")), 2)

    def test_unfinished_work_is_found_in_comments_too(self):
        self.assertEqual(len(texts("src/base/x.hpp", HEADER + "// " + "TO" + "DO: later\n")), 1)

    def test_a_banned_call_is_found_with_its_line(self):
        found = texts("src/base/x.hpp", HEADER + "int f() { return std::sprintf(a, b); }\n")
        self.assertEqual(len(found), 1)
        self.assertIn("src/base/x.hpp:3:", found[0])

    def test_a_banned_call_in_a_comment_or_string_is_not(self):
        self.assertEqual(texts("src/base/x.hpp", HEADER + '// sprintf(a)\nauto s = "sprintf(a)";\n'), [])

    def test_sleeping_in_a_test_is_found(self):
        self.assertEqual(len(texts("tests/unit/x_test.cpp", HEADER + "std::this_thread::sleep_for(x);\n")), 1)

    def test_waiting_inside_a_condition_is_found(self):
        self.assertEqual(len(list(tidy.condition_findings("x.cpp", "while (co_await f(x)) g();\n"))), 1)
        self.assertEqual(len(list(tidy.condition_findings("x.cpp", "if (!(a && co_await f())) g();\n"))), 1)
        self.assertEqual(list(tidy.condition_findings("x.cpp", "if (f(x)) co_await g(x);\n")), [])

    def test_a_file_name_that_says_nothing_is_found(self):
        self.assertEqual(len(texts("src/base/utils.hpp", HEADER)), 1)

    def test_a_very_long_file_is_found(self):
        self.assertEqual(len(texts("src/base/x.hpp", HEADER + "\n" * 900)), 1)


if __name__ == "__main__":
    unittest.main()
