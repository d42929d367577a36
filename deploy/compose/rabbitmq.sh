#!/bin/sh
# Entrypoint of the broker: writes its accounts as definitions, which RabbitMQ reads at every start, then goes on as the
# image does. So a changed password in .env holds after a restart. The password of `subscriber` may be handed out: that
# account may bind queues of its own (condarium-sub.*) to the events and read them, and may not publish.
set -eu

: "${CONDARIUM_RABBITMQ_PASSWORD:?}" "${CONDARIUM_SUBSCRIBER_PASSWORD:?}"
case $CONDARIUM_RABBITMQ_PASSWORD$CONDARIUM_SUBSCRIBER_PASSWORD in
    *[!A-Za-z0-9._~-]*) echo "the broker's passwords may hold only A-Z a-z 0-9 . _ ~ -" >&2; exit 1 ;;
esac

directory=/etc/rabbitmq
mkdir -p $directory/conf.d
touch $directory/condarium.json
chmod 600 $directory/condarium.json
cat > $directory/condarium.json << END
{
  "users": [
    {"name": "condarium", "password": "$CONDARIUM_RABBITMQ_PASSWORD", "tags": "administrator"},
    {"name": "subscriber", "password": "$CONDARIUM_SUBSCRIBER_PASSWORD", "tags": ""}
  ],
  "vhosts": [{"name": "condarium"}],
  "permissions": [
    {"user": "condarium", "vhost": "condarium", "configure": ".*", "write": ".*", "read": ".*"},
    {
      "user": "subscriber",
      "vhost": "condarium",
      "configure": "^condarium-sub\\\\..*$",
      "write": "^condarium-sub\\\\..*$",
      "read": "^(condarium-sub\\\\..*|condarium\\\\.events)$"
    }
  ],
  "exchanges": [
    {
      "name": "condarium.events",
      "vhost": "condarium",
      "type": "topic",
      "durable": true,
      "auto_delete": false,
      "internal": false,
      "arguments": {}
    }
  ]
}
END
cat > $directory/conf.d/90-condarium.conf << END
load_definitions = $directory/condarium.json
# Without these a first start might make the well-known guest before it reads the definitions.
default_user = condarium
default_pass = $CONDARIUM_RABBITMQ_PASSWORD
default_vhost = condarium
END
chmod 600 $directory/conf.d/90-condarium.conf
if [ "$(id -u)" = 0 ]; then
    chown rabbitmq $directory/condarium.json $directory/conf.d/90-condarium.conf
fi
unset CONDARIUM_RABBITMQ_PASSWORD CONDARIUM_SUBSCRIBER_PASSWORD
exec docker-entrypoint.sh rabbitmq-server
