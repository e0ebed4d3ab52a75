"""Goal: a disk's fault is none of the user's, whatever was to be written. Method: every errno."""

import errno
import os

import pytest

from hedge.errors import ConfigError, HedgeError, JournalError, UsageError, writing

OF_THE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO}


@pytest.mark.parametrize("number", sorted(errno.errorcode))
def test_the_disk_s_fault_is_12_and_a_path_s_is_what_the_caller_says(number: int) -> None:
    for otherwise in (ConfigError, UsageError):
        with pytest.raises(HedgeError) as caught, writing("cannot write it", otherwise=otherwise):
            raise OSError(number, os.strerror(number), "/a/file")
        assert type(caught.value) is (JournalError if number in OF_THE_DISK else otherwise)
        assert str(caught.value).startswith(f"cannot write it: {os.strerror(number)}")
        assert (
            caught.value.exit_code
            == {JournalError: 12, ConfigError: 3, UsageError: 2}[type(caught.value)]
        )
