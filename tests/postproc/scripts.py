"""What the tests of postproc share: where its scripts and modules are, a folder that goes away, a script run in it.
Imported in front of the modules of postproc, which it makes known."""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

POSTPROC = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "postproc")
sys.path.insert(0, POSTPROC)


class FolderTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="weft-postproc-")
        self.addCleanup(shutil.rmtree, self.folder)


class ScriptTest(FolderTest):
    def script(self, name, *arguments, status=0):
        done = subprocess.run([sys.executable, "-B", os.path.join(POSTPROC, name), *arguments], cwd=self.folder,
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done
