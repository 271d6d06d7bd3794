"""What the start of a pool does, and what it leaves for later."""

import subprocess
import sys


def test_a_pool_loads_no_more_than_the_standard_one_needs() -> None:
    program = (
        "import sys\n"
        "from threefold import multiprocessing\n"
        "with multiprocessing.get_context('fork').Pool(2) as pool:\n"
        "    assert pool.map(abs, [-1, 2], 1) == [1, 2]\n"
        "rare = ('concurrent.futures', 'logging', 'faulthandler', 'threefold._pool.errors', 'threefold._pool.streams')\n"
        "print([name for name in rare if name in sys.modules])\n"
        "try:\n"
        "    pool.apply(abs, (1,))\n"
        "except ValueError as error:\n"
        "    print(error)\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    assert (ran.stdout, ran.stderr) == ("[]\nPool not running\n", "")
