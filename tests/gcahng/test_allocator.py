import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sets glibc's allocator")
# Whether 20 MiB that are freed are still this process's: glibc gives them back if it is not told.
PROGRAM = """
import ctypes, resource
from gcahng.allocator import keep_memory
keep_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
def touch():
    piece = libc.malloc(20 * 2**20)
    ctypes.memset(piece, 1, 20 * 2**20)
    libc.free(piece)
touch()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
touch()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < 100)
"""


@pytest.mark.parametrize(
    ("environment", "kept"), [({}, "True"), ({"MALLOC_ARENA_MAX": "2"}, "False")]
)
def test_freed_memory_is_kept_unless_the_user_chose(environment: dict[str, str], kept: str) -> None:
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == kept
