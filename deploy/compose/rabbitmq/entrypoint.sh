#!/bin/sh
# Entrypoint of the broker: writes its accounts as definitions, which RabbitMQ reads at every start, then goes on as the
# image does. So a password that is changed in .env holds after a restart. The password of `subscriber` may be handed
# out: that account may bind queues of its own to the events and read them, and may not publish.
set -eu

: "${CONDARIUM_RABBITMQ_PASSWORD:?}" "${CONDARIUM_SUBSCRIBER_PASSWORD:?}"
case $CONDARIUM_RABBITMQ_PASSWORD$CONDARIUM_SUBSCRIBER_PASSWORD in
    *[!A-Za-z0-9._~-]*) echo "the broker's passwords may hold only A-Z a-z 0-9 . _ ~ -" >&2; exit 1 ;;
esac

definitions=/etc/rabbitmq/condarium.json
configuration=/etc/rabbitmq/conf.d/90-condarium.conf
mkdir -p /etc/rabbitmq/conf.d
touch $definitions $configuration
chmod 600 $definitions $configuration
sed -e "s/@CONDARIUM_RABBITMQ_PASSWORD@/$CONDARIUM_RABBITMQ_PASSWORD/" \
    -e "s/@CONDARIUM_SUBSCRIBER_PASSWORD@/$CONDARIUM_SUBSCRIBER_PASSWORD/" \
    "$(dirname "$0")/definitions.json" > $definitions
cat > $configuration << END
load_definitions = $definitions
# Without these a first start might make the well-known guest before it reads the definitions.
default_user = condarium
default_pass = $CONDARIUM_RABBITMQ_PASSWORD
default_vhost = condarium
# Every probe of a service is a connection; not each of them is news.
log.connection.level = warning
END
if [ "$(id -u)" = 0 ]; then
    chown rabbitmq $definitions $configuration
fi
unset CONDARIUM_RABBITMQ_PASSWORD CONDARIUM_SUBSCRIBER_PASSWORD
exec docker-entrypoint.sh rabbitmq-server
