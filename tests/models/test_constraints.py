import pytest
from django import forms
from django.core.exceptions import ValidationError
from django.db import DatabaseError, IntegrityError, OperationalError, connection, models, transaction
from django.db.models import Count, Q
from django.test.utils import isolate_apps

from shared_core.models import ActiveIndex, BaseModel, DeletedIndex, SoftDeleteMeta, UniqueActiveConstraint, active
from shared_core.models.constraints import _ShortName
from tests.library.models import Account, Author, Book, Group, Membership, Person, Place

pytestmark = pytest.mark.django_db


class AccountForm(forms.ModelForm):
    class Meta:
        model = Account
        fields = ("email", "handle", "team", "is_lead")


class TestUniqueActiveConstraint:
    @pytest.mark.parametrize(
        ("values", "twin", "field", "message"),
        [
            ({"email": "a@b.org"}, {"email": "a@b.org"}, "email", "Account with this Email already exists."),
            ({"handle": "Ada"}, {"handle": "ADA"}, "__all__", "Constraint “library_account_handle” is violated."),
            (
                {"team": "core", "is_lead": True},
                {"team": "core", "is_lead": True},
                "team",
                "Account with this Team already exists.",
            ),
        ],
    )
    def test_full_clean_a_form_and_the_database_refuse_the_same_values(self, values, twin, field, message):
        values, twin = {"email": "x@y.org", **values}, {"email": "z@y.org", **twin}
        first = Account.objects.create(**values)

        with pytest.raises(ValidationError) as raised:
            Account(**twin).full_clean()
        assert raised.value.message_dict == {field: [message]}
        form = AccountForm(twin)
        assert form.errors == {field: [message]}
        with pytest.raises(IntegrityError), transaction.atomic():
            Account.objects.create(**twin)

        first.delete()
        Account(**twin).full_clean()
        assert AccountForm(twin).is_valid()
        Account.objects.create(**twin)

    def test_a_deleted_row_does_not_conflict_with_an_active_one(self):
        Account.objects.create(email="a@b.org")
        gone = Account.objects.create(email="a@b.org", is_deleted=True)

        gone.full_clean()

    def test_a_failed_query_is_not_reported_as_a_value_that_is_taken(self):
        def fail(execute, sql, params, many, context):
            return (
                execute("SELECT 1 FROM nothing", None, many, context)
                if "SELECT" in sql
                else execute(sql, params, many, context)
            )

        (constraint, *_) = (one for one in Account._meta.constraints if isinstance(one, UniqueActiveConstraint))
        account = Account(email="a@b.org")
        with (
            connection.execute_wrapper(fail),
            pytest.raises(DatabaseError, match="nothing"),
            transaction.atomic(),
        ):
            constraint.validate(Account, account)

        constraint.validate(Account, account)  # the transaction goes on

    @pytest.mark.postgresql
    @pytest.mark.django_db(transaction=True)
    def test_an_unreachable_database_is_not_reported_as_a_value_that_is_taken(self, monkeypatch):
        connection.close()
        monkeypatch.setitem(connection.settings_dict, "PORT", "1")

        with pytest.raises(OperationalError):
            Account(email="a@b.org").validate_constraints()

    @pytest.mark.postgresql
    @pytest.mark.django_db(transaction=True)
    def test_a_lost_connection_is_not_reported_as_a_value_that_is_taken(self):
        account = Account(email="a@b.org")
        Account.objects.exists()
        connection.connection.close()  # as an outage does; Django finds out by what it asks next

        with pytest.raises(OperationalError):
            account.validate_constraints()

        connection.close()

    def test_a_row_does_not_conflict_with_itself(self):
        account = Account.objects.create(email="a@b.org")

        account.full_clean()
        assert AccountForm({"email": "a@b.org"}, instance=account).is_valid()

    def test_rows_that_the_condition_leaves_out_do_not_conflict(self):
        Account.objects.create(email="a@b.org", team="core", is_lead=True)

        assert AccountForm({"email": "b@b.org", "team": "core", "is_lead": False}).is_valid()

    def test_a_custom_error_message_is_kept(self):
        constraint = UniqueActiveConstraint(fields=["email"], name="x", violation_error_message="Taken: %(name)s.")
        Account.objects.create(email="a@b.org")

        with pytest.raises(ValidationError, match="Taken: x"):
            constraint.validate(Account, Account(email="a@b.org"))

    def test_a_migration_contains_djangos_class_and_the_full_condition(self):
        constraint = UniqueActiveConstraint(fields=["team"], name="x", condition=Q(is_lead=True))
        path, arguments, options = constraint.deconstruct()

        assert path == "django.db.models.UniqueConstraint"
        assert options["condition"] == Q(is_deleted=False) & Q(is_lead=True)
        assert models.UniqueConstraint(*arguments, **options) == constraint == constraint.clone()
        assert type(constraint.clone()) is UniqueActiveConstraint
        assert constraint.clone().deconstruct() == constraint.deconstruct()

    @isolate_apps("tests.library")
    def test_on_a_multi_table_child_djangos_check_refuses_the_constraint(self):
        class Bar(Place):
            licence = models.CharField(max_length=10)

            class Meta:
                app_label = "library"
                constraints = [UniqueActiveConstraint(fields=["licence"], name="bar_licence")]

        (error,) = [error for error in Bar.check(databases={"default"}) if error.id == "models.E016"]
        assert "'is_deleted' which is not local to model 'Bar'" in error.msg
        assert "multi-table inheritance" in error.hint


class TestIndexes:
    def test_a_migration_contains_djangos_class_and_the_condition(self):
        index = ActiveIndex(fields=["-created_at"], name="newest", condition=Q(pages__gt=1))

        assert index.deconstruct() == (
            "django.db.models.Index",
            (),
            {
                "fields": ["-created_at"],
                "name": "newest",
                "condition": Q(is_deleted=False) & Q(pages__gt=1),
            },
        )
        assert index.clone().deconstruct() == index.deconstruct()
        assert DeletedIndex(fields=["x"], name="gone").condition == Q(is_deleted=True)

    @pytest.mark.postgresql
    def test_active_and_deleted_indexes_are_partial_indexes(self):
        with connection.cursor() as cursor:
            cursor.execute("SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'library_account'")
            found = dict(cursor.fetchall())

        assert found["library_account_newest"].endswith("(created_at DESC) WHERE (NOT is_deleted)")
        assert found["library_account_deleted_ix"].endswith("(deleted_at) WHERE is_deleted")


class TestSoftDeleteMeta:
    def test_the_database_refuses_columns_that_do_not_agree(self):
        account = Account.objects.create(email="a@b.org")

        with pytest.raises(IntegrityError, match="library_account_deleted_ck"), transaction.atomic():
            models.QuerySet(Account).update(is_deleted=True)
        with pytest.raises(IntegrityError, match="library_account_deleted_ck"), transaction.atomic():
            Account.objects.update(deleted_at="2020-01-01T00:00:00Z")
        account.delete()
        account.restore()

    @isolate_apps("tests.library")
    def test_constraint_and_index_names_are_short_and_unique_per_model(self):
        made = []
        for name in ("AVeryLongNameOfAModelIndeedOne", "AVeryLongNameOfAModelIndeedTwo"):
            meta = type("Meta", (SoftDeleteMeta,), {"app_label": "library"})
            made.append(type(name, (BaseModel,), {"__module__": __name__, "Meta": meta}))

        names = [one.name for model in made for one in (*model._meta.constraints, *model._meta.indexes)]
        assert len(set(names)) == 4
        assert all(len(name) <= 30 for name in names)
        assert [error for model in made for error in model.check(databases={"default"})] == []

    def test_a_constraint_name_is_the_same_in_every_process_and_version(self):
        template = _ShortName("%(app_label)s_%(class)s_deleted_ix")

        assert template % {"app_label": "tickets", "class": "ticket"} == "tickets_ticket_deleted_ix"
        long = template % {"app_label": "communication", "class": "conversationparticipant"}
        assert long == "communication_convers_5c91d98d"


class TestActive:
    def test_a_count_with_active_leaves_out_deleted_rows(self, author):
        for number in range(3):
            Book.objects.create(author=author, title=str(number))
        Book.objects.get(title="0").delete()
        lonely = Author.objects.create(name="Nobody")

        counted = Author.objects.annotate(n=Count("books", filter=active("books"))).values_list("pk", "n")
        assert dict(counted) == {author.pk: 2, lonely.pk: 0}

    def test_a_join_with_active_matches_only_active_rows(self, author, book):
        assert Author.objects.filter(active("books"), books__title=book.title).get() == author
        book.delete()
        assert not Author.objects.filter(active("books"), books__title=book.title).exists()

    def test_active_without_a_path_filters_the_row_itself(self, author, book):
        author.delete()

        assert active() == Q(is_deleted=False)
        assert not Author.all_objects.filter(active()).exists()

    def test_active_with_several_paths_requires_each_to_be_active(self):
        assert active("books", "books__chapters") == Q(books__is_deleted=False, books__chapters__is_deleted=False)


class TestManyToMany:
    @pytest.fixture
    def groups(self):
        """Return two groups, Ada in both, her membership of the first deleted; Bob is in the first."""
        ada, bob = Person.objects.create(name="Ada"), Person.objects.create(name="Bob")
        first, second = Group.objects.create(), Group.objects.create()
        for group, person in ((first, ada), (second, ada), (first, bob)):
            Membership.objects.create(group=group, person=person)
        Membership.objects.get(group=first, person=ada).delete()
        return first, second

    def test_a_deleted_target_of_a_many_to_many_is_hidden(self, groups):
        Person.objects.get(name="Bob").delete()

        assert not groups[0].members.filter(name="Bob").exists()

    def test_a_deleted_through_row_is_hidden_by_active_first_in_the_chain(self, groups):
        first, second = groups

        assert {person.name for person in first.members.all()} == {
            "Ada",
            "Bob",
        }  # Django does not know of it
        assert [person.name for person in first.members.filter(active("memberships"))] == ["Bob"]
        assert [person.name for person in second.members.filter(active("memberships"))] == ["Ada"]

    def test_a_prefetch_of_through_rows_leaves_out_deleted_ones(self, groups, django_assert_num_queries):
        with django_assert_num_queries(3):
            found = Group.objects.order_by("pk").prefetch_related("memberships__person")
            names = [sorted(row.person.name for row in group.memberships.all()) for group in found]

        assert names == [["Bob"], ["Ada"]]

    def test_removing_a_member_soft_deletes_the_through_row(self, groups):
        first, _ = groups
        bob = Person.objects.get(name="Bob")
        first.members.remove(bob)
        removed = Membership.objects.deleted().get(person=bob)
        first.members.add(bob)

        assert Membership.objects.get(person=bob) != removed
        first.members.clear()
        assert not first.memberships.exists()
        assert Membership.all_objects.filter(group=first).count() == 3
