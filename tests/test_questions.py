"""docs/questions.md answers as the warehouse does."""

import pytest

from tests.questions import answered, demo_warehouse, questions


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    return demo_warehouse(tmp_path_factory.mktemp("questions"))


def test_there_are_twenty_questions_and_all_are_found():
    assert len(questions()) >= 20


@pytest.mark.parametrize("question", questions(), ids=lambda question: question.title)
def test_the_answer_in_the_document_is_the_one_that_the_warehouse_gives(warehouse, question):
    assert answered(warehouse, question.sql) == question.answer
