"""What the process as a whole needs from the system before it serves."""

import ctypes
import gc
import resource

M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3


def raise_open_files_limit() -> int:
    """Raise the soft limit on open files to the hard one and return it; 1,024 connections are soon used up."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def freeze_objects() -> None:
    """Take what lives as long as the process out of the garbage collector's sight.

    To look at the 43,000 objects of the imported modules once more takes 6 to 11 ms, in which every client waits.
    """
    gc.collect()
    gc.freeze()


def keep_freed_memory() -> None:
    """Keep glibc from giving buffers of up to 1 MiB back to the kernel each time they are freed.

    Read and window buffers live for microseconds; faulting their pages in anew doubled the CPU per GB of the streamed
    path (2.6 against 1.3 s/GB with 256 KiB reads). Costs at most the two thresholds of idle memory.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return  # not glibc
    mallopt(M_MMAP_THRESHOLD, 4 << 20)
    mallopt(M_TRIM_THRESHOLD, 8 << 20)
