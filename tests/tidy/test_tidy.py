"""scripts/tidy finds what it says it finds: each check gets a text that breaks its rule."""

import importlib.machinery
import importlib.util
import tempfile
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


class Remembering(unittest.TestCase):
    """What --full keeps between runs: a source that includes a header, and a check that counts."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.source = self.folder / "x.cpp"
        self.header = self.folder / "x.hpp"
        self.header.write_text("int f();\n")
        self.source.write_text('#include "x.hpp"\n')
        self.count = 0

    def check(self, source):
        self.count += 1
        return [f"{source}:1: number {self.count}"]

    def findings(self, rules="rules", flag="-O0"):
        checked = tidy.Checked(self.folder, rules)
        command = ["clang++-19", flag, "-o", "x.o", "-c", str(self.source)]
        return checked.findings("x.cpp", command, self.check)

    def test_what_has_not_changed_is_not_checked_again(self):
        self.assertEqual(self.findings(), ["x.cpp:1: number 1"])
        self.assertEqual(self.findings(), ["x.cpp:1: number 1"])

    def test_a_changed_source_is_checked_again(self):
        self.findings()
        self.source.write_text('#include "x.hpp"\nint x;\n')
        self.assertEqual(self.findings(), ["x.cpp:1: number 2"])

    def test_a_changed_header_is_checked_again(self):
        self.findings()
        self.header.write_text("int g();\n")
        self.assertEqual(self.findings(), ["x.cpp:1: number 2"])

    def test_a_lost_header_is_checked_again(self):
        self.findings()
        self.header.unlink()
        self.assertEqual(self.findings(), ["x.cpp:1: number 2"])

    def test_what_cannot_be_compiled_is_not_remembered(self):
        self.source.write_text('#include "gone.hpp"\n')
        self.findings()
        self.assertEqual(self.findings(), ["x.cpp:1: number 2"])

    def test_other_rules_and_other_flags_are_checked_again(self):
        self.findings()
        self.assertEqual(self.findings(rules="others"), ["x.cpp:1: number 2"])
        self.assertEqual(self.findings(rules="others", flag="-O1"), ["x.cpp:1: number 3"])


if __name__ == "__main__":
    unittest.main()
