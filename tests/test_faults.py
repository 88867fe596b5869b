"""Short forms of what tests/soak/test_faults.py does at length."""


def test_a_kill_while_fetching_leaves_no_half_file_and_a_rerun_completes(run):
    run("killed_while_fetching", 4)


def test_a_kill_while_converting_leaves_no_half_folder_and_a_rerun_completes(run):
    run("killed_while_converting", 4)


def test_a_killed_extraction_resumes_where_it_was(run):
    run("killed_while_extracting", 4)


def test_a_kill_while_saving_leaves_the_old_or_the_new_vectors(run):
    run("killed_while_saving", 4)


def test_a_kill_while_writing_a_control_vector_leaves_the_old_or_the_new_one(run):
    run("killed_while_writing_a_control_vector", 4)


def test_a_kill_while_writing_results_leaves_the_old_or_the_new_ones(run):
    run("killed_while_writing_results", 4)


def test_a_kill_while_saving_stories_leaves_the_old_or_the_new_ones(run):
    run("killed_while_saving_stories", 4)


def test_two_processes_may_fetch_at_once(run):
    run("two_fetch_at_once", 1)


def test_two_processes_may_convert_at_once_and_a_reader_never_sees_the_folder_gone(run):
    run("two_convert_at_once", 2)


def test_two_processes_may_convert_at_once_in_the_place_of_a_damaged_folder(run):
    run("two_convert_at_once_over_a_damaged_folder", 2)


def test_two_processes_may_extract_at_once(run):
    run("two_extract_at_once", 1)


def test_a_full_disk_while_fetching_is_one_error_and_leaves_nothing(run):
    run("full_disk_while_fetching", 3)


def test_a_full_disk_while_converting_is_one_error_and_keeps_the_old_folder(run):
    run("full_disk_while_converting", 4)


def test_a_full_disk_while_the_tokenizer_is_saved_is_one_error(run):
    run("full_disk_while_the_tokenizer_is_saved", 2)


def test_a_full_disk_while_saving_is_one_error_and_keeps_the_old_vectors(run):
    run("full_disk_while_saving", 4)


def test_a_full_disk_while_extracting_loses_the_cache_and_not_the_result(run):
    run("full_disk_while_extracting", 4)


def test_a_read_only_cache_is_read_and_what_must_be_written_is_one_error(run):
    run("read_only_cache", 1)


def test_a_damaged_cache_entry_is_noticed_and_made_again(run):
    run("damaged_cache", 8)
