"""What a caller may write."""

from django import forms

from apps.tickets.models import Comment, Ticket


class TicketForm(forms.ModelForm):
    attachment_id = forms.UUIDField(required=False)

    class Meta:
        model = Ticket
        fields = ["title", "description", "requestor_id", "parent"]


class CommentForm(forms.ModelForm):
    class Meta:
        model = Comment
        fields = ["author_id", "text"]
