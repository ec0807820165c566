import re

import django
import pytest
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.contenttypes.admin import GenericTabularInline
from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.db.models.functions import Lower
from django.test.utils import isolate_apps, modify_settings

from shared_core.admin import SoftDeleteAdmin
from shared_core.checks.admin import check_admin
from shared_core.checks.models import check_models
from shared_core.checks.relations import check_relations
from shared_core.checks.saving import check_saving
from shared_core.models import (
    AllObjectsManager,
    BaseModel,
    SoftDeleteManager,
    SoftDeleteMeta,
    SoftDeleteModel,
    SoftDeleteQuerySet,
    UniqueActiveConstraint,
)
from tests.library.models import Author, Book, Item, Stamp, Tag


@pytest.fixture(autouse=True)
def own():
    """An app without models, which those of a test are defined in, and nobody else sees."""
    with isolate_apps("tests.library", "django.contrib.contenttypes") as own:
        yield own


@pytest.fixture
def messages(own):
    """Return a function that returns what is found in the models defined since."""

    def messages():
        configs = list(own.get_app_configs())
        return [
            message for check in (check_models, check_relations, check_saving) for message in check(app_configs=configs)
        ]

    return messages


@pytest.fixture
def found(messages):
    return lambda: [(message.id.removeprefix("shared_core."), label(message.obj)) for message in messages()]


def label(obj):
    return obj._meta.object_name if isinstance(obj, type) else str(obj).removeprefix("library.")


class TestUniqueValues:
    def test_a_unique_field_is_reported(self, found):
        class Member(BaseModel):
            email = models.EmailField(unique=True)
            card = models.OneToOneField("self", models.CASCADE)
            number = models.IntegerField()

            class Meta:
                app_label = "library"

        assert found() == [("W101", "Member.email"), ("W101", "Member.card")]

    def test_a_unique_constraint_of_meta_is_reported(self, messages):
        class Member(BaseModel):
            a = models.CharField(max_length=9)
            b = models.IntegerField()

            class Meta:
                app_label = "library"
                unique_together = [("a", "b")]
                constraints = [
                    models.UniqueConstraint(fields=["b"], name="of_b"),
                    models.UniqueConstraint(Lower("a"), name="of_a"),
                ]

        assert [message.msg.partition(": ")[2] for message in messages()] == ["a, b.", "b.", "expressions."]
        assert 'UniqueActiveConstraint(fields=["a", "b"], name="member_a_b_active")' in messages()[0].hint
        assert "in place of unique_together: " in messages()[0].hint
        assert 'UniqueActiveConstraint(fields=["b"], name="of_b")' in messages()[1].hint

    def test_a_unique_field_without_soft_delete_is_accepted(self, found):
        class Member(models.Model):
            email = models.EmailField(unique=True)

            class Meta:
                app_label = "library"

        assert found() == []

    def test_a_conditional_constraint_or_one_with_deleted_at_is_accepted(self, found):
        class Member(BaseModel):
            a = models.IntegerField()

            class Meta:
                app_label = "library"
                unique_together = [("a", "deleted_at")]
                constraints = [
                    models.UniqueConstraint(fields=["a"], condition=models.Q(a=1), name="a_1"),
                    UniqueActiveConstraint(fields=["a"], name="a_3"),
                ]

        assert found() == []

    def test_a_constraint_that_includes_is_deleted_is_reported(self, messages):
        class Member(BaseModel):
            a = models.IntegerField()

            class Meta:
                app_label = "library"
                constraints = [models.UniqueConstraint(fields=["a", "is_deleted"], name="of_a")]

        (message,) = messages()
        assert message.id == "shared_core.W101"
        assert 'UniqueActiveConstraint(fields=["a"], name="of_a")' in message.hint

    @pytest.mark.parametrize("by", ["field", "constraint"])
    def test_a_unique_field_that_a_foreign_key_targets_is_accepted(self, found, by):
        class Country(BaseModel):
            code = models.CharField(max_length=2, unique=by == "field")

            class Meta:
                app_label = "library"
                constraints = [models.UniqueConstraint(fields=["code"], name="code")] if by == "constraint" else []

        class City(BaseModel):
            country = models.ForeignKey(Country, models.CASCADE, to_field="code", related_name="+")

            class Meta:
                app_label = "library"

        assert found() == []

    def test_an_inherited_unique_field_is_reported_once(self, found):
        class Base(BaseModel):
            code = models.CharField(max_length=2, unique=True)

            class Meta:
                app_label = "library"
                abstract = True

        class Member(Base):
            class Meta:
                app_label = "library"

        class Late(Member):
            class Meta:
                app_label = "library"
                proxy = True

        class Lasting(Member):
            class Meta:
                app_label = "library"

        assert found() == [("W101", "Member.code")]

    def test_a_unique_field_of_a_multi_table_child_is_reported_with_a_move(self, messages):
        class Member(BaseModel):
            class Meta:
                app_label = "library"

        class Officer(Member):
            rank = models.CharField(max_length=9, unique=True)

            class Meta:
                app_label = "library"

        (message,) = messages()
        assert (
            "rank. It cannot be among active rows only here, as library.Member has is_deleted: move it" in message.msg
        )

    def test_a_unique_username_field_is_reported_with_djangos_check_ids(self, own, messages):
        class Member(AbstractBaseUser, BaseModel):
            email = models.EmailField(unique=True)

            objects = SoftDeleteManager()
            USERNAME_FIELD = "email"

            class Meta:
                app_label = "library"

        (message,) = messages()
        assert 'SILENCED_SYSTEM_CHECKS = ["auth.E003", "auth.W004"]' in message.msg

    def test_the_hint_of_a_unique_field_fixes_it(self, messages):
        class Member(BaseModel):
            email = models.EmailField(unique=True)

            class Meta:
                app_label = "library"

        (message,) = messages()
        constraint = eval(re.search(r"`([^`]+)`", message.hint)[1], {"UniqueActiveConstraint": UniqueActiveConstraint})

        class Member2(BaseModel):
            email = models.EmailField()

            class Meta:
                app_label = "library"
                constraints = [constraint]

        assert messages() == [message]


class TestSoftDeleteMeta:
    @pytest.mark.parametrize("kept", ["constraints", "indexes"])
    def test_replacing_a_list_of_soft_delete_meta_is_reported(self, messages, kept):
        lost = {"constraints": "indexes", "indexes": "constraints"}[kept]

        class Member(BaseModel):
            class Meta(SoftDeleteMeta):
                app_label = "library"
                locals()[lost] = []

        (message,) = messages()
        assert (message.id, message.obj) == ("shared_core.W102", Member)
        assert f"`{lost} = [*SoftDeleteMeta.{lost}, …]`" in message.hint

    def test_replacing_both_lists_of_soft_delete_meta_is_reported(self, found):
        class Member(BaseModel):
            class Meta(SoftDeleteMeta):
                app_label = "library"
                constraints = []
                indexes = []

        class Other(BaseModel):
            class Meta:  # not (SoftDeleteMeta)
                app_label = "library"
                constraints = []
                indexes = []

        assert found() == [("W102", "Member"), ("W102", "Member")]

    def test_replacing_a_list_is_reported_without_source_code(self, found):
        names = {"BaseModel": BaseModel, "SoftDeleteMeta": SoftDeleteMeta, "__name__": __name__}
        meta = "class Meta(SoftDeleteMeta):\n  app_label = 'library'\n  indexes = []"
        exec(f"class Member(BaseModel):\n {meta}", names)

        assert found() == [("W102", "Member")]

    def test_a_child_or_proxy_without_soft_delete_meta_is_accepted(self, found):
        class Base(BaseModel):
            class Meta(SoftDeleteMeta):
                abstract = True

        class Member(Base):
            class Meta(SoftDeleteMeta):
                app_label = "library"

        class Officer(Member):
            class Meta:
                app_label = "library"

        class Late(Member):
            class Meta:
                app_label = "library"
                proxy = True

        assert found() == []

    def test_a_meta_not_derived_from_the_abstract_base_is_reported(self, found):
        class Base(BaseModel):
            class Meta(SoftDeleteMeta):
                abstract = True

        class Member(Base):
            class Meta:
                app_label = "library"

        assert found() == [("W102", "Member"), ("W102", "Member")]

    def test_a_meta_that_extends_the_lists_is_accepted(self, found):
        class Base(BaseModel):
            class Meta(SoftDeleteMeta):
                abstract = True
                indexes = [*SoftDeleteMeta.indexes, models.Index(fields=["created_at"], name="%(class)s_created")]

        class Member(Base):
            class Meta(Base.Meta):
                app_label = "library"
                constraints = [*SoftDeleteMeta.constraints]

        class MemberWithANameThatIsTooLongForAnIndexOfPostgreSQL(Base):
            class Meta(SoftDeleteMeta):
                app_label = "library"

        assert found() == []

    def test_unmanaged_models_are_not_checked(self, found):
        class Member(BaseModel):
            class Meta(SoftDeleteMeta):
                app_label = "library"
                managed = False
                indexes = []

        assert found() == []


class TestDefaultManager:
    def test_a_default_manager_of_a_plain_first_base_is_reported(self, found):
        class Item(models.Model):
            objects = models.Manager()

            class Meta:
                app_label = "library"

        class Vase(Item, SoftDeleteModel):
            class Meta:
                app_label = "library"

        class Cup(SoftDeleteModel, Item):
            class Meta:
                app_label = "library"

        assert found() == [("E103", "Vase")]

    @pytest.mark.parametrize("manager", [models.Manager, AllObjectsManager])
    def test_a_first_manager_that_shows_deleted_rows_is_reported(self, messages, manager):
        class Member(BaseModel):
            everyone = manager()

            class Meta:
                app_label = "library"

        (message,) = messages()
        assert (message.id, message.obj) == ("shared_core.E103", Member)
        assert f"everyone is a {manager.__name__}" in message.msg
        assert 'default_manager_name = "everyone"' in message.hint

    def test_the_hint_of_a_default_manager_fixes_it(self, found):
        class Member(BaseModel):
            objects = SoftDeleteManager()
            everyone = AllObjectsManager()

            class Meta:
                app_label = "library"

        class Archived(BaseModel):
            everyone = AllObjectsManager()

            class Meta:
                app_label = "library"
                default_manager_name = "everyone"

        class Lasting(Archived):
            class Meta:
                app_label = "library"

        assert found() == []

    def test_a_manager_derived_from_soft_delete_manager_is_accepted(self, found):
        class MemberQuerySet(SoftDeleteQuerySet):
            pass

        class MemberManager(SoftDeleteManager, models.Manager):
            pass

        class Member(BaseModel):
            objects = MemberQuerySet.as_manager()

            class Meta:
                app_label = "library"

        class Guest(BaseModel):
            objects = MemberManager.from_queryset(MemberQuerySet)()

            class Meta:
                app_label = "library"

        assert found() == []


def cascades():
    return [models.CASCADE] + ([models.DB_CASCADE] if django.VERSION >= (6, 1) else [])


class TestCascade:
    @pytest.mark.parametrize("on_delete", cascades())
    @pytest.mark.parametrize("link", [models.ForeignKey, models.OneToOneField])
    def test_a_cascade_to_a_model_without_soft_delete_is_reported(self, messages, link, on_delete):
        class Member(BaseModel):
            class Meta:
                app_label = "library"

        class Badge(models.Model):
            member = link(Member, on_delete)

            class Meta:
                app_label = "library"

        (message,) = messages()
        assert message.id == "shared_core.W104"
        assert "library.Badge, by CASCADE from library.Member" in message.msg
        assert "`class Badge(BaseModel):`, so that they go along and come back; or member with" in message.hint

    @pytest.mark.parametrize("on_delete", cascades())
    def test_a_cascade_from_a_model_without_soft_delete_is_reported(self, messages, on_delete):
        class Team(models.Model):
            class Meta:
                app_label = "library"

        class Member(BaseModel):
            team = models.ForeignKey(Team, on_delete)

            class Meta:
                app_label = "library"

        (message,) = messages()
        assert message.id == "shared_core.W105"
        assert "team with `on_delete=models.PROTECT`; or `class Team(BaseModel):`" in message.hint

    def test_a_cascade_by_a_generic_relation_is_reported(self, found):
        class Tag(models.Model):
            content_type = models.ForeignKey(ContentType, models.CASCADE)
            object_id = models.IntegerField()
            subject = GenericForeignKey()

            class Meta:
                app_label = "library"

        class Note(BaseModel):
            content_type = models.ForeignKey(ContentType, models.PROTECT)
            object_id = models.IntegerField()
            subject = GenericForeignKey()

            class Meta:
                app_label = "library"

        class Member(BaseModel):
            tags = GenericRelation(Tag)
            notes = GenericRelation(Note)

            class Meta:
                app_label = "library"

        class Team(models.Model):
            tags = GenericRelation(Tag)
            notes = GenericRelation(Note)

            class Meta:
                app_label = "library"

        assert found() == [("W104", "Member.tags"), ("W105", "Team.notes")]

    def test_other_on_delete_and_cascades_between_like_models_are_accepted(self, found):
        class Team(models.Model):
            class Meta:
                app_label = "library"

        class Member(BaseModel):
            boss = models.ForeignKey("self", models.CASCADE)
            team = models.ForeignKey(Team, models.PROTECT, related_name="+")
            old_team = models.ForeignKey(Team, models.SET_NULL, null=True, related_name="+")
            teams = models.ManyToManyField(Team)
            missing = models.ForeignKey("nowhere.Model", models.CASCADE)

            class Meta:
                app_label = "library"

        class Shirt(models.Model):
            team = models.ForeignKey(Team, models.CASCADE)
            member = models.ForeignKey(Member, models.DO_NOTHING)

            class Meta:
                app_label = "library"

        class Captain(Member):
            class Meta:
                app_label = "library"

        class Substitute(SoftDeleteModel, Shirt):
            class Meta:
                app_label = "library"

        assert found() == []

    def test_a_cascade_to_a_plain_through_model_is_reported(self, found):
        class Member(BaseModel):
            class Meta:
                app_label = "library"

        class Membership(models.Model):
            member = models.ForeignKey(Member, models.CASCADE)

            class Meta:
                app_label = "library"

        class Club(BaseModel):
            members = models.ManyToManyField(Member, through=Membership)

            class Meta:
                app_label = "library"

        assert found() == [("W104", "Membership.member")]

    def test_cascades_to_models_of_other_packages_are_not_checked(self, found):
        class Member(BaseModel):
            class Meta:
                app_label = "library"

        class LogEntry(models.Model):
            __module__ = "django.contrib.admin.models"
            member = models.ForeignKey(Member, models.CASCADE)

            class Meta:
                app_label = "library"

        class Token(models.Model):
            __module__ = "pytest"  # a package that is installed
            member = models.ForeignKey(Member, models.CASCADE)

            class Meta:
                app_label = "library"

        assert found() == []


def drops_all(self):
    pass


def drops_by_name(self, force_insert=False, using=None):
    pass


def takes_by_position(self, *args):
    models.Model.save(self, *args)


def calls_without(self, *args, **kwargs):
    super().save()


def calls_by_position_only(self, *args, **kwargs):
    super().save(*args)


def calls_once_without(self, *args, **kwargs):
    if kwargs:
        super().save(*args, **kwargs)
    else:
        super().save(using=None)


def calls_an_older_super(self, update_fields=None):
    super(models.Model, self).save(force_insert=True)


def passes_all(self, *args, **kwargs):
    super().save(*args, **kwargs)


def passes_by_name(self, force_insert=False, update_fields=None, **other):
    super().save(force_insert=force_insert, update_fields=update_fields)


def passes_by_position(self, a=False, b=False, using=None, update_fields=None):
    super().save(a, b, using, update_fields)


def saves_in_another_way(self, **kwargs):
    self.save_base(**kwargs)


def saves_something_else(self, **kwargs):
    self.team.save()
    super().save(**kwargs)


class TestSave:
    @pytest.mark.parametrize("base", [BaseModel, models.Model])
    @pytest.mark.parametrize(
        ("method", "fault"),
        [
            (drops_all, "does not take it"),
            (drops_by_name, "does not take it"),
            (takes_by_position, "does not take it"),
            (calls_without, "does not pass it to super().save()"),
            (calls_by_position_only, "does not pass it to super().save()"),
            (calls_once_without, "does not pass it to super().save()"),
            (calls_an_older_super, "does not pass it to super().save()"),
        ],
    )
    def test_a_save_that_drops_update_fields_is_reported(self, messages, base, method, fault):
        class Member(base):
            save = method

            class Meta:
                app_label = "library"

        (message,) = messages()
        assert (message.id, message.obj) == ("shared_core.W106", Member)
        assert message.msg.endswith(f"Member.save() {fault}.")

    @pytest.mark.parametrize(
        "method", [passes_all, passes_by_name, passes_by_position, saves_in_another_way, saves_something_else]
    )
    def test_a_save_that_passes_update_fields_on_is_accepted(self, found, method):
        class Member(BaseModel):
            save = method

            class Meta:
                app_label = "library"

        assert found() == []

    def test_a_save_of_a_base_or_mixin_is_reported_once(self, found):
        class Mixin:
            def save(self):
                super().save()

        class Base(BaseModel):
            def save(self):
                super().save()

            class Meta:
                app_label = "library"
                abstract = True

        class Member(Mixin, Base):
            class Meta:
                app_label = "library"

        class Guest(Mixin, Base):
            class Meta:
                app_label = "library"

        assert found() == [("W106", "Member"), ("W106", "Base")]

    def test_a_save_without_source_code_is_checked_by_its_signature(self, found):
        names = {}
        exec("def without(self): super().save()\ndef wide(self, **k): super().save()", names)

        class Member(BaseModel):
            save = names["without"]

            class Meta:
                app_label = "library"

        class Guest(BaseModel):
            save = names["wide"]

            class Meta:
                app_label = "library"

        assert found() == [("W106", "Member")]

    def test_a_save_that_is_not_a_function_is_not_checked(self, found):
        class Member(BaseModel):
            save = property(passes_all)

            class Meta:
                app_label = "library"

        assert found() == []

    def test_a_save_of_another_package_is_not_checked(self, found):
        class Member(models.Model):
            __module__ = "pytest"
            save = drops_all

            class Meta:
                app_label = "library"

        assert found() == []


def test_app_configs_limits_which_models_are_checked(own):
    class Member(BaseModel):
        email = models.EmailField(unique=True)
        save = drops_all
        kind = models.ForeignKey(ContentType, models.CASCADE)

        class Meta:
            app_label = "library"

    others = [own.get_app_config("contenttypes")]
    for check in (check_models, check_relations, check_saving):
        assert list(check(app_configs=others)) == []
        assert list(check(app_configs=list(own.get_app_configs())))


def test_the_models_of_the_suite_are_checked_without_an_exception():
    ids = {message.id for check in (check_models, check_relations, check_saving) for message in check()}

    assert ids == {"shared_core.W104", "shared_core.W105"}  # stamps, and tags of content types; see tests/library


def test_a_plain_model_admin_of_a_soft_deletable_model_is_reported():
    site = admin.AdminSite()
    site.register(Author, SoftDeleteAdmin)

    assert list(check_admin()) == []

    site.register(Book)
    try:
        (message,) = check_admin()
        assert message.id == "shared_core.W107"
        assert "`admin.site.register(Book, SoftDeleteAdmin)`" in message.hint  # it has no base to change
        with modify_settings(INSTALLED_APPS={"remove": ["django.contrib.admin"]}):
            assert list(check_admin()) == []
    finally:
        site.unregister(Book)  # all sites are looked at, as long as they live


class Exports:
    """A mixin, as other packages have them."""


class ExportingAdmin(Exports, admin.ModelAdmin):
    pass


class MemberAdmin(UserAdmin):
    pass


class ExportingMemberAdmin(Exports, UserAdmin):
    pass


@pytest.mark.parametrize(
    ("shown", "options", "written"),
    [
        (None, {}, "BookAdmin(SoftDeleteAdmin)"),
        (None, {"list_per_page": 5}, "BookAdmin(SoftDeleteAdmin)"),
        (ExportingAdmin, {}, "ExportingAdmin(Exports, SoftDeleteAdmin)"),
        (MemberAdmin, {}, "MemberAdmin(SoftDeleteAdmin, UserAdmin)"),
        (ExportingMemberAdmin, {}, "ExportingMemberAdmin(SoftDeleteAdmin, Exports, UserAdmin)"),
        (UserAdmin, {}, "BookAdmin(SoftDeleteAdmin, UserAdmin)"),  # it is Django's, and not to be changed
    ],
)
def test_the_hint_keeps_an_admins_other_bases(shown, options, written):
    site = admin.AdminSite()
    site.register(Book, shown, **options)
    try:
        (message,) = check_admin()
    finally:
        site.unregister(Book)
    name, bases = re.fullmatch(r"(\w+)\((.+)\)", written).groups()
    types = {one.__name__: one for one in (SoftDeleteAdmin, Exports, UserAdmin)}
    made = type(name, tuple(types[base] for base in bases.split(", ")), {})

    assert f"`class {written}:`" in message.hint
    assert made.get_queryset is SoftDeleteAdmin.get_queryset  # which is why the order matters


class NoteInline(GenericTabularInline):
    model = Tag


class BooksInline(admin.TabularInline):
    model = Book
    fk_name = "author"


@pytest.mark.parametrize(
    ("options", "is_found"),
    [
        ({}, True),
        ({"fields": ["title", ("is_deleted", "pages")]}, True),
        ({"fieldsets": [(None, {"fields": ["title", "deleted_at"]})]}, True),
        ({"exclude": ["is_deleted"]}, True),
        ({"exclude": ["is_deleted", "deleted_at"]}, False),
        ({"exclude": ["is_deleted"], "readonly_fields": ["deleted_at"]}, False),
        ({"fields": ["title"]}, False),
    ],
)
@pytest.mark.parametrize("inlined", [BooksInline, NoteInline])
def test_an_inline_that_can_edit_is_deleted_is_reported(inlined, options, is_found):
    made = type("Inline", (inlined,), options)
    site = admin.AdminSite()
    site.register(Stamp, type("StampAdmin", (admin.ModelAdmin,), {"inlines": [made]}))
    site.register(Author, type("AuthorAdmin", (SoftDeleteAdmin,), {"inlines": [made]}))  # which drops the columns
    try:
        messages = list(check_admin())
    finally:
        site.unregister([Stamp, Author])

    assert [message.id for message in messages] == ["shared_core.W108"] * is_found
    if is_found:
        assert "Inline of StampAdmin" in messages[0].msg


@pytest.mark.parametrize(("model", "is_found"), [(Item, True), (Stamp, False)])
def test_a_plain_admin_that_hard_deletes_multi_table_children_is_reported(model, is_found):
    site = admin.AdminSite()
    site.register(model)
    try:
        messages = list(check_admin())
    finally:
        site.unregister(model)

    assert [message.id for message in messages] == ["shared_core.W109"] * is_found
    if is_found:
        assert "library.Vase, by ModelAdmin of library.Item" in messages[0].msg
        assert 'request.user.has_perm("library.hard_delete_vase")' in messages[0].hint
