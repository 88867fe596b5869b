import pytest
from test_wheel import check, clean


@pytest.mark.truth
def test_the_wheel_and_all_it_depends_on_install_into_an_empty_environment(tmp_path):
    check(clean(tmp_path, lent=False), tmp_path)
