"""The admin of the library's models, on a site of its own."""

from django.contrib import admin
from django.urls import path

from shared_core.admin import SoftDeleteAdmin
from tests.library.models import Account, Author, Book, Chapter, Loan, Shelf, Stamp

site = admin.AdminSite(name="admin")


class ChapterInline(admin.TabularInline):
    model = Chapter
    fields = ["title"]
    extra = 0


class LoanInline(admin.StackedInline):
    model = Loan
    fields = []
    extra = 0


class BookInline(admin.TabularInline):
    model = Book
    fk_name = "author"
    fields = ["title", "translator"]
    extra = 0


@admin.register(Author, site=site)
class AuthorAdmin(SoftDeleteAdmin):
    ordering = ["name"]
    search_fields = ["name"]
    inlines = [BookInline]


@admin.register(Book, site=site)
class BookAdmin(SoftDeleteAdmin):
    list_display = ["title", "author", "pages"]
    list_editable = ["pages"]
    list_filter = ["pages"]
    search_fields = ["title"]
    autocomplete_fields = ["author"]
    inlines = [ChapterInline]


@admin.register(Chapter, site=site)
class ChapterAdmin(SoftDeleteAdmin):
    list_display = ["title", "book"]


@admin.register(Account, site=site)
class AccountAdmin(SoftDeleteAdmin):
    pass


site.register([Loan, Shelf], SoftDeleteAdmin)
site.register(Stamp)

urlpatterns = [path("admin/", site.urls)]
