"""What a caller may write."""

from django import forms

from apps.messaging.models import ChatMessage, Notification


class ChatMessageForm(forms.ModelForm):
    class Meta:
        model = ChatMessage
        fields = ["author_id", "text"]


class NotificationForm(forms.ModelForm):
    class Meta:
        model = Notification
        fields = ["ticket_id", "recipient_id", "kind", "text"]
